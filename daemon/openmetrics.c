/* SPDX-License-Identifier: MIT */
/*
 * OpenMetrics 1.0, https://github.com/OpenObservability/OpenMetrics. A family's name is that
 * of its samples without _total or _info. There are no _created lines, which would be a
 * series more for each one that there is; start times are in the protobuf format.
 *
 * The specification wants whole numbers in the counts of histograms. Those of the delay are
 * seconds, as in the other formats, and have fractions: Prometheus takes them.
 */

#include "config.h"

#include "daemon/openmetrics.h"

#include <string.h>

#include "daemon/lines.h"
#include "daemon/metrics.h"

#define SAMPLES_AT_ONCE 16

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
write_head(FILE *out, const struct metric_family *family)
{
	int length = (int)(strlen(family->name) - strlen(types[family->type].suffix));
	const char *unit = metrics_unit(family);

	fprintf(out, "# TYPE %.*s %s\n", length, family->name, types[family->type].name);
	if (unit)
		fprintf(out, "# UNIT %.*s %s\n", length, family->name, unit);
	fprintf(out, "# HELP %.*s ", length, family->name);
	lines_write_escaped(out, family->help, "\\\"\n");
	putc_unlocked('\n', out);
}

bool
openmetrics_write_some(
	FILE *out, const struct metrics *metrics, struct metrics_position *position)
{
	const struct metric_family *family;
	unsigned written = 0;

	if (position->family < metrics_count(metrics)) {
		family = metrics_get(metrics, position->family);
		if (!position->sample)
			write_head(out, family);
		while (position->sample < family->sample_count &&
			written++ < SAMPLES_AT_ONCE)
			lines_write(
				out, family, &family->samples[position->sample++], true);
		if (position->sample == family->sample_count)
			*position =
				(struct metrics_position){.family = position->family + 1};
	}
	if (position->family < metrics_count(metrics))
		return true;
	fputs_unlocked("# EOF\n", out);
	return false;
}
