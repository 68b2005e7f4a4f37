/* SPDX-License-Identifier: MIT */
/*
 * OpenMetrics 1.0, https://github.com/OpenObservability/OpenMetrics. A family's name is that
 * of its samples without _total or _info. There are no _created lines, which would be a
 * series more for each one that there is; start times are in the protobuf format.
 */

#include "config.h"

#include "daemon/openmetrics.h"

#include <math.h>
#include <string.h>

#include "daemon/lines.h"
#include "daemon/metrics.h"

#define NAME_BYTES 128

static const struct {
	const char *name;
	const char *suffix; /* that samples have and the family does not */
} types[] = {
	[METRIC_COUNTER] = {"counter", "_total"},
	[METRIC_GAUGE] = {"gauge", ""},
	[METRIC_INFO] = {"info", "_info"},
	[METRIC_HISTOGRAM] = {"histogram", ""},
	[METRIC_SUMMARY] = {"summary", ""},
};

static void
write_help(FILE *out, const char *name, int length, const char *help)
{
	fprintf(out, "# HELP %.*s ", length, name);
	lines_write_escaped(out, help, "\\\"\n");
	putc_unlocked('\n', out);
}

static void
write_head(FILE *out, const struct metric_family *family)
{
	int length = (int)(strlen(family->name) - strlen(types[family->type].suffix));
	const char *unit = metrics_unit(family);

	fprintf(out, "# TYPE %.*s %s\n", length, family->name, types[family->type].name);
	if (unit)
		fprintf(out, "# UNIT %.*s %s\n", length, family->name, unit);
	write_help(out, family->name, length, family->help);
}

/* Write the head of one of the families that a time histogram becomes, and give its name. */
static void
write_part_head(FILE *out, const struct metric_family *family, const char *suffix,
	char ret_name[NAME_BYTES])
{
	int length = snprintf(ret_name, NAME_BYTES, "%s%s", family->name, suffix);

	fprintf(out, "# TYPE %s unknown\n", ret_name);
	write_help(out, ret_name, length, family->help);
}

static void
write_time_histogram(FILE *out, const struct metric_family *family)
{
	const struct metric_sample *samples = family->samples;
	char name[NAME_BYTES];

	write_part_head(out, family, "_bucket", name);
	for (size_t i = 0; i < family->sample_count; i++)
		lines_write_buckets(out, name, &samples[i]);
	write_part_head(out, family, "_sum", name);
	for (size_t i = 0; i < family->sample_count; i++)
		lines_write_value(out, name, &samples[i], samples[i].sum);
	write_part_head(out, family, "_count", name);
	for (size_t i = 0; i < family->sample_count; i++)
		lines_write_value(out, name, &samples[i], samples[i].count);
}

static void
write_family(FILE *out, const struct metric_family *family)
{
	write_head(out, family);
	for (size_t i = 0; i < family->sample_count; i++) {
		struct metric_sample sample = family->samples[i];

		if (family->type == METRIC_SUMMARY)
			sample.count = floor(sample.count);
		lines_write(out, family, &sample, true);
	}
}

void
openmetrics_write(FILE *out, const struct metrics *metrics)
{
	for (size_t i = 0; i < metrics_count(metrics); i++) {
		const struct metric_family *family = metrics_get(metrics, i);

		if (family->type == METRIC_TIME_HISTOGRAM)
			write_time_histogram(out, family);
		else
			write_family(out, family);
	}
	fputs_unlocked("# EOF\n", out);
}
