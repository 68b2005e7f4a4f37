/* SPDX-License-Identifier: MIT */
/* Writes metrics in Prometheus' text format, version 0.0.4. */
#ifndef LOOPLAG_DAEMON_TEXT_H
#define LOOPLAG_DAEMON_TEXT_H

#include <stdbool.h>
#include <stdio.h>

struct metrics;
struct metrics_position;

#define TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Write on, a few dozen lines or some more. Returns whether there is more to write. */
bool
text_write_some(
	FILE *out, const struct metrics *metrics, struct metrics_position *position);

#endif
