/* SPDX-License-Identifier: MIT */
/* Prometheus' text format, version 0.0.4; see text.h. */

#include "config.h"

#include "daemon/text.h"

#include "daemon/lines.h"
#include "daemon/metrics.h"

/* It has no info. */
static const char *const type_names[] = {
	[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_INFO] = "gauge",
	[METRIC_HISTOGRAM] = "histogram",
	[METRIC_TIME_HISTOGRAM] = "histogram",
	[METRIC_SUMMARY] = "summary",
};

static void
write_family(FILE *out, const struct metric_family *family)
{
	fprintf(out, "# HELP %s ", family->name);
	lines_write_escaped(out, family->help, "\\\n");
	fprintf(out, "\n# TYPE %s %s\n", family->name, type_names[family->type]);
	for (size_t i = 0; i < family->sample_count; i++)
		lines_write(out, family, &family->samples[i], false);
}

void
text_write(FILE *out, const struct metrics *metrics)
{
	for (size_t i = 0; i < metrics_count(metrics); i++)
		write_family(out, metrics_get(metrics, i));
}
