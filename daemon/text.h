/* SPDX-License-Identifier: MIT */
/* Writes metrics in Prometheus' text format, version 0.0.4. */
#ifndef LOOPLAG_DAEMON_TEXT_H
#define LOOPLAG_DAEMON_TEXT_H

#include <stddef.h>

struct metrics;

#define TEXT_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* The whole page; caller frees. NULL without memory. */
char *
text_write(const struct metrics *metrics, size_t *ret_length);

#endif
