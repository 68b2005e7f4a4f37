/* SPDX-License-Identifier: MIT */
/*
 * Writes metrics as OpenMetrics 1.0 text: the text format with units, infos, exemplars and an
 * end that tells a whole page from a part of one.
 */
#ifndef LOOPLAG_DAEMON_OPENMETRICS_H
#define LOOPLAG_DAEMON_OPENMETRICS_H

#include <stdbool.h>
#include <stdio.h>

struct metrics;
struct metrics_position;

#define OPENMETRICS_CONTENT_TYPE \
	"application/openmetrics-text; version=1.0.0; charset=utf-8"

/* Write on, a few dozen lines or some more. Returns whether there is more to write. */
bool
openmetrics_write_some(
	FILE *out, const struct metrics *metrics, struct metrics_position *position);

#endif
