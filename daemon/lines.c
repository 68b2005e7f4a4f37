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
#define NAME_BYTES 128
#define EXEMPLAR_BYTES 256
#define LINE_BYTES (NAME_BYTES + LABELS_BYTES + 2 * NUMBER_BYTES + EXEMPLAR_BYTES)

/* The lines of a sample, on their way. */
struct lines {
	FILE *out;
	const char *name;
	size_t labels_bytes;
	char labels[LABELS_BYTES]; /* as they stand in each line, without braces */
	size_t used;
	char text[4 * LINE_BYTES];
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

/* The shortest text that reads back as the same number: so is `le` written by all. */
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
prepare(struct lines *lines, const struct metric_sample *sample)
{
	char *to = lines->labels;

	for (unsigned i = 0; i < METRIC_LABELS && sample->labels[i].name; i++) {
		if (i)
			*to++ = ',';
		to = stpcpy(to, sample->labels[i].name);
		to = stpcpy(to, "=\"");
		for (const char *value = sample->labels[i].value; *value; value++) {
			if (*value == '\\' || *value == '"' || *value == '\n')
				*to++ = '\\';
			*to++ = *value == '\n' ? 'n' : *value;
		}
		*to++ = '"';
	}
	lines->labels_bytes = (size_t)(to - lines->labels);
}

static void
flush(struct lines *lines)
{
	fwrite_unlocked(lines->text, 1, lines->used, lines->out);
	lines->used = 0;
}

/* Add what is no longer than EXEMPLAR_BYTES. */
static char *
add_exemplar(char *to, const struct metric_exemplar *exemplar)
{
	char buffer[NUMBER_BYTES];

	to = stpcpy(to, " # {");
	for (unsigned i = 0; i < METRIC_EXEMPLAR_LABELS && exemplar->labels[i].name; i++)
		to += sprintf(to, "%s%s=\"%llu\"", i ? "," : "", exemplar->labels[i].name,
			(unsigned long long)exemplar->labels[i].value);
	to = stpcpy(to, "} ");
	to = stpcpy(to, format_number(exemplar->value, buffer));
	return to + sprintf(to, " %.3f", exemplar->unix_seconds);
}

/* Add a line. The bound, if any, is one more label. */
static void
add_line(struct lines *lines, const char *suffix, const char *bound_name,
	const char *bound, double value, const struct metric_exemplar *exemplar)
{
	char buffer[NUMBER_BYTES];
	char *to;

	if (lines->used > sizeof(lines->text) - LINE_BYTES)
		flush(lines);
	to = stpcpy(stpcpy(lines->text + lines->used, lines->name), suffix);
	if (lines->labels_bytes || bound)
		*to++ = '{';
	to = mempcpy(to, lines->labels, lines->labels_bytes);
	if (bound) {
		if (lines->labels_bytes)
			*to++ = ',';
		to = stpcpy(stpcpy(to, bound_name), "=\"");
		to = stpcpy(stpcpy(to, bound), "\"");
	}
	if (lines->labels_bytes || bound)
		*to++ = '}';
	*to++ = ' ';
	to = stpcpy(to, format_number(value, buffer));
	if (exemplar)
		to = add_exemplar(to, exemplar);
	*to++ = '\n';
	lines->used = (size_t)(to - lines->text);
}

static void
add_points(struct lines *lines, const char *suffix, const char *bound_name,
	const struct metric_sample *sample, bool with_exemplars)
{
	double low = -INFINITY;
	char buffer[NUMBER_BYTES];

	for (size_t i = 0; i < sample->point_count; i++) {
		const struct metric_point *point = &sample->points[i];

		add_line(lines, suffix, bound_name, format_bound(point->bound, buffer),
			point->value,
			with_exemplars ? metrics_exemplar(sample, low, point->bound)
				       : NULL);
		low = point->bound;
	}
}

static void
add_totals(struct lines *lines, const struct metric_sample *sample)
{
	add_line(lines, "_sum", NULL, NULL, sample->sum, NULL);
	add_line(lines, "_count", NULL, NULL, sample->count, NULL);
}

static void
begin(struct lines *lines, FILE *out, const char *name,
	const struct metric_sample *sample)
{
	lines->out = out;
	lines->name = name;
	lines->used = 0;
	prepare(lines, sample);
}

void
lines_write(FILE *out, const struct metric_family *family,
	const struct metric_sample *sample, bool with_exemplars)
{
	struct lines lines;

	begin(&lines, out, family->name, sample);
	switch (family->type) {
	case METRIC_COUNTER:
	case METRIC_GAUGE:
	case METRIC_INFO:
		add_line(&lines, "", NULL, NULL, sample->value, NULL);
		break;
	case METRIC_HISTOGRAM:
	case METRIC_TIME_HISTOGRAM:
		add_points(&lines, "_bucket", "le", sample, with_exemplars);
		add_totals(&lines, sample);
		break;
	case METRIC_SUMMARY:
		add_points(&lines, "", "quantile", sample, false);
		add_totals(&lines, sample);
		break;
	}
	flush(&lines);
}

void
lines_write_buckets(FILE *out, const char *name, const struct metric_sample *sample)
{
	struct lines lines;

	begin(&lines, out, name, sample);
	add_points(&lines, "", "le", sample, false);
	flush(&lines);
}

void
lines_write_value(
	FILE *out, const char *name, const struct metric_sample *sample, double value)
{
	struct lines lines;

	begin(&lines, out, name, sample);
	add_line(&lines, "", NULL, NULL, value, NULL);
	flush(&lines);
}
