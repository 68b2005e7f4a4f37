/* SPDX-License-Identifier: MIT */
/*
 * The lines of samples, which are the same in Prometheus' text format and in OpenMetrics.
 * Numbers are short, and still read back as the same double. Bounds always
 * have a point ("1.0"), as OpenMetrics wants it, so that a series keeps its identity when a
 * server changes the format it asks for.
 */
#ifndef LOOPLAG_DAEMON_LINES_H
#define LOOPLAG_DAEMON_LINES_H

#include <stdbool.h>
#include <stdio.h>

struct metric_family;
struct metric_sample;

/* Write all lines of a sample; with those of its exemplars that fit. */
void
lines_write(FILE *out, const struct metric_family *family,
	const struct metric_sample *sample, bool with_exemplars);

/* Write parts of a histogram as lines of that name: the buckets alone; or one value. */
void
lines_write_buckets(FILE *out, const char *name, const struct metric_sample *sample);
void
lines_write_value(
	FILE *out, const char *name, const struct metric_sample *sample, double value);

/* Write with a backslash before each of the special characters; a line feed becomes n. */
void
lines_write_escaped(FILE *out, const char *text, const char *special);

#endif
