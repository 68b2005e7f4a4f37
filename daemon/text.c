/* SPDX-License-Identifier: MIT */
/* Prometheus' text format, version 0.0.4; see text.h. */

#include "config.h"

#include "daemon/text.h"

#include "daemon/lines.h"
#include "daemon/metrics.h"

#define SAMPLES_AT_ONCE 16

/* It has no info. */
static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_INFO] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
	[METRIC_SUMMARY] = "summary",
};

bool
text_write_some(
	FILE *out, const struct metrics *metrics, struct metrics_position *position)
{
	const struct metric_family *family;
	unsigned written = 0;

	if (position->family == metrics_count(metrics))
		return false;
	family = metrics_get(metrics, position->family);
	if (!position->sample) {
		fprintf(out, "# HELP %s ", family->name);
		lines_write_escaped(out, family->help, "\\\n");
		fprintf(out, "\n# TYPE %s %s\n", family->name, type_names[family->type]);
	}
	while (position->sample < family->sample_count && written++ < SAMPLES_AT_ONCE)
		lines_write(out, family, &family->samples[position->sample++], false);
	if (position->sample == family->sample_count)
		*position = (struct metrics_position){.family = position->family + 1};
	return position->family < metrics_count(metrics);
}
