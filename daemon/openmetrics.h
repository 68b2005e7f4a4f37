/* SPDX-License-Identifier: MIT */
/*
 * Writes metrics as OpenMetrics 1.0 text: the text format with units, infos, exemplars and an
 * end that tells a whole page from a part of one.
 *
 * Counts of histograms and summaries have to be whole numbers. Those of a time histogram are
 * not: its series stand there under their own names, as three families of unknown type, and
 * without exemplars. Prometheus makes the same of them as of a histogram.
 */
#ifndef LOOPLAG_DAEMON_OPENMETRICS_H
#define LOOPLAG_DAEMON_OPENMETRICS_H

#include <stdio.h>

struct metrics;

#define OPENMETRICS_CONTENT_TYPE \
	"application/openmetrics-text; version=1.0.0; charset=utf-8"

void
openmetrics_write(FILE *out, const struct metrics *metrics);

#endif
