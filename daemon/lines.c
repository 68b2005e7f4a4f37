/* SPDX-License-Identifier: MIT */
/*
 * The lines of samples; see lines.h. There are tens of thousands of them on a page: what
 * lines have in common is put together once, and most numbers are seconds that were counted
 * in nanoseconds, which need no search for their shortest form.
 */

#include "config.h"

#include "daemon/lines.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metrics.h"

#define NUMBER_BYTES 40
#define BILLION 1000000000ull
/* Whole numbers up to here are exact as doubles. */
#define EXACT_MAX 9007199254740992.0
/* Names of labels, quotes, commas, and values of which each byte may be escaped. */
#define LABELS_BYTES (METRIC_LABELS * (2 * METRIC_LABEL_BYTES + 64))

/* A sample's name and labels, as they stand in each of its lines. */
struct prefix {
	const char *name;
	size_t length;
	char labels[LABELS_BYTES]; /* without braces */
};

/* The digits of a whole number. Returns where they end; no 0 follows. */
static char *
print_whole(uint64_t value, char *to)
{
	char digits[20];
	unsigned count = 0;

	do {
		digits[count++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	while (count)
		*to++ = digits[--count];
	return to;
}

/* Seconds and nanoseconds, without zeros at the end. */
static void
print_nanoseconds(uint64_t ns, char *to)
{
	uint64_t rest = ns % BILLION;

	to = print_whole(ns / BILLION, to);
	if (rest) {
		*to++ = '.';
		for (uint64_t place = BILLION / 10; rest; place /= 10) {
			*to++ = (char)('0' + rest / place);
			rest %= place;
		}
	}
	*to = 0;
}

static void
print_shortest(double value, char buffer[NUMBER_BYTES])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(buffer, NUMBER_BYTES, "%.*g", digits, value);
		if (strtod(buffer, NULL) == value)
			break;
	}
}

/* The shortest text that reads back as the same number. */
static const char *
format_number(double value, char buffer[NUMBER_BYTES])
{
	double ns = value * 1e9;

	if (isnan(value))
		return "NaN";
	if (isinf(value))
		return value > 0 ? "+Inf" : "-Inf";
	/* Where exponents are shorter it is not seconds. */
	if (value >= 0 && value == floor(value) && value < 1e15)
		*print_whole((uint64_t)value, buffer) = 0;
	else if (value >= 1e-4 && ns < EXACT_MAX &&
		 (double)(uint64_t)(ns + 0.5) / 1e9 == value)
		print_nanoseconds((uint64_t)(ns + 0.5), buffer);
	else
		print_shortest(value, buffer);
	return buffer;
}

/* The same, always recognisable as a float. */
static const char *
format_bound(double value, char buffer[NUMBER_BYTES])
{
	const char *text = format_number(value, buffer);

	if (text == buffer && !strpbrk(text, ".e"))
		strcat(buffer, ".0");
	return text;
}

void
lines_write_escaped(FILE *out, const char *text, const char *special)
{
	for (size_t length; *text; text += length) {
		length = strcspn(text, special);
		fwrite_unlocked(text, 1, length, out);
		if (!text[length])
			break;
		putc_unlocked('\\', out);
		putc_unlocked(text[length] == '\n' ? 'n' : text[length], out);
		length++;
	}
}

static void
prepare(struct prefix *prefix, const struct metric_family *family,
	const struct metric_sample *sample)
{
	char *to = prefix->labels;

	prefix->name = family->name;
	for (unsigned i = 0; i < METRIC_LABELS && sample->labels[i].name; i++) {
		const char *value = sample->labels[i].value;

		if (i)
			*to++ = ',';
		to = stpncpy(to, sample->labels[i].name, 32);
		to = stpcpy(to, "=\"");
		for (unsigned j = 0; value[j] && j < METRIC_LABEL_BYTES - 1; j++) {
			if (value[j] == '\\' || value[j] == '"' || value[j] == '\n')
				*to++ = '\\';
			*to++ = value[j];
			if (value[j] == '\n')
				to[-1] = 'n';
		}
		*to++ = '"';
	}
	prefix->length = (size_t)(to - prefix->labels);
}

static void
write_exemplar(FILE *out, const struct metric_exemplar *exemplar)
{
	char buffer[NUMBER_BYTES];

	fputs_unlocked(" # {", out);
	for (unsigned i = 0; i < METRIC_EXEMPLAR_LABELS && exemplar->labels[i].name; i++)
		fprintf(out, "%s%s=\"%llu\"", i ? "," : "", exemplar->labels[i].name,
			(unsigned long long)exemplar->labels[i].value);
	fputs_unlocked("} ", out);
	fputs_unlocked(format_number(exemplar->value, buffer), out);
	fprintf(out, " %.3f", exemplar->unix_seconds);
}

/* One line. The bound, if any, is one more label. */
static void
write_line(FILE *out, const struct prefix *prefix, const char *suffix,
	const char *bound_name, const char *bound, double value,
	const struct metric_exemplar *exemplar)
{
	char buffer[NUMBER_BYTES];

	fputs_unlocked(prefix->name, out);
	fputs_unlocked(suffix, out);
	if (prefix->length || bound)
		putc_unlocked('{', out);
	fwrite_unlocked(prefix->labels, 1, prefix->length, out);
	if (bound) {
		if (prefix->length)
			putc_unlocked(',', out);
		fputs_unlocked(bound_name, out);
		fputs_unlocked("=\"", out);
		fputs_unlocked(bound, out);
		putc_unlocked('"', out);
	}
	if (prefix->length || bound)
		putc_unlocked('}', out);
	putc_unlocked(' ', out);
	fputs_unlocked(format_number(value, buffer), out);
	if (exemplar)
		write_exemplar(out, exemplar);
	putc_unlocked('\n', out);
}

static void
write_points(FILE *out, const struct prefix *prefix, const char *suffix,
	const char *bound_name, const struct metric_sample *sample, bool with_exemplars)
{
	double low = -INFINITY;
	char buffer[NUMBER_BYTES];

	for (size_t i = 0; i < sample->point_count; i++) {
		const struct metric_point *point = &sample->points[i];

		write_line(out, prefix, suffix, bound_name,
			format_bound(point->bound, buffer), point->value,
			with_exemplars ? metrics_exemplar(sample, low, point->bound)
				       : NULL);
		low = point->bound;
	}
}

void
lines_write(FILE *out, const struct metric_family *family,
	const struct metric_sample *sample, bool with_exemplars)
{
	struct prefix prefix;

	prepare(&prefix, family, sample);
	switch (family->type) {
	case METRIC_COUNTER:
	case METRIC_GAUGE:
	case METRIC_INFO:
		write_line(out, &prefix, "", NULL, NULL, sample->value, NULL);
		return;
	case METRIC_HISTOGRAM:
		write_points(out, &prefix, "_bucket", "le", sample, with_exemplars);
		break;
	case METRIC_SUMMARY:
		write_points(out, &prefix, "", "quantile", sample, false);
		break;
	}
	write_line(out, &prefix, "_sum", NULL, NULL, sample->sum, NULL);
	write_line(out, &prefix, "_count", NULL, NULL, sample->count, NULL);
}
