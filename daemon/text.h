/* SPDX-License-Identifier: MIT */
/* Writes metrics in Prometheus' text format, version 0.0.4. */
#ifndef LOOPLAG_DAEMON_TEXT_H
#define LOOPLAG_DAEMON_TEXT_H

#include <stdio.h>

struct metrics;

#define TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

void
text_write(FILE *out, const struct metrics *metrics);

#endif
