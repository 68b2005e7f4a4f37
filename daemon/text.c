/* SPDX-License-Identifier: MIT */
/*
 * Prometheus' text format, version 0.0.4. Numbers are as short as they can be and still
 * read back as the same double. Bounds always have a point ("1.0"), as OpenMetrics wants
 * it, so that a series keeps its identity when a server changes the format it asks for.
 */

#include "config.h"

#include "daemon/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/metrics.h"

#define NUMBER_BYTES 32
#define SAMPLES_AT_ONCE 16

static const char *const type_names[] = {"counter", "gauge", "histogram", "summary"};

/* The shortest text that reads back as the same number. */
static const char *
format_number(double value, char buffer[NUMBER_BYTES])
{
	if (isnan(value))
		return "NaN";
	if (isinf(value))
		return value > 0 ? "+Inf" : "-Inf";
	/* Most values are counts: spare them the search. */
	if (value == floor(value) && fabs(value) < 1e15) {
		snprintf(buffer, NUMBER_BYTES, "%.0f", value);
		return buffer;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(buffer, NUMBER_BYTES, "%.*g", digits, value);
		if (strtod(buffer, NULL) == value)
			break;
	}
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

/* Print with backslash and line feed escaped, and quotes too in label values. */
static void
print_escaped(FILE *out, const char *text, const char *special)
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

/* One line. The bound, if any, is one more label. */
static void
print_line(FILE *out, const char *name, const char *suffix,
	const struct metric_sample *sample, const char *bound_name, const char *bound,
	double value)
{
	char buffer[NUMBER_BYTES];
	char separator = '{';

	fputs_unlocked(name, out);
	fputs_unlocked(suffix, out);
	for (unsigned i = 0; i < METRIC_LABELS && sample->labels[i].name; i++) {
		putc_unlocked(separator, out);
		fputs_unlocked(sample->labels[i].name, out);
		fputs_unlocked("=\"", out);
		print_escaped(out, sample->labels[i].value, "\\\"\n");
		putc_unlocked('"', out);
		separator = ',';
	}
	if (bound) {
		putc_unlocked(separator, out);
		fputs_unlocked(bound_name, out);
		fputs_unlocked("=\"", out);
		fputs_unlocked(bound, out);
		putc_unlocked('"', out);
		separator = ',';
	}
	if (separator == ',')
		putc_unlocked('}', out);
	putc_unlocked(' ', out);
	fputs_unlocked(format_number(value, buffer), out);
	putc_unlocked('\n', out);
}

static void
print_sample(
	FILE *out, const struct metric_family *family, const struct metric_sample *sample)
{
	const char *name = family->name;
	char buffer[NUMBER_BYTES];

	switch (family->type) {
	case METRIC_COUNTER:
	case METRIC_GAUGE:
		print_line(out, name, "", sample, NULL, NULL, sample->value);
		return;
	case METRIC_HISTOGRAM:
		for (size_t i = 0; i < sample->point_count; i++)
			print_line(out, name, "_bucket", sample, "le",
				format_bound(sample->points[i].bound, buffer),
				sample->points[i].value);
		break;
	case METRIC_SUMMARY:
		for (size_t i = 0; i < sample->point_count; i++)
			print_line(out, name, "", sample, "quantile",
				format_bound(sample->points[i].bound, buffer),
				sample->points[i].value);
		break;
	}
	print_line(out, name, "_sum", sample, NULL, NULL, sample->sum);
	print_line(out, name, "_count", sample, NULL, NULL, sample->count);
}

bool
text_write_some(FILE *out, const struct metrics *metrics, struct text_position *position)
{
	const struct metric_family *family;
	unsigned written = 0;

	if (position->family == metrics_count(metrics))
		return false;
	family = metrics_get(metrics, position->family);
	if (!position->sample) {
		fprintf(out, "# HELP %s ", family->name);
		print_escaped(out, family->help, "\\\n");
		fprintf(out, "\n# TYPE %s %s\n", family->name, type_names[family->type]);
	}
	while (position->sample < family->sample_count && written++ < SAMPLES_AT_ONCE)
		print_sample(out, family, &family->samples[position->sample++]);
	if (position->sample == family->sample_count)
		*position = (struct text_position){.family = position->family + 1};
	return position->family < metrics_count(metrics);
}
