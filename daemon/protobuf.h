/* SPDX-License-Identifier: MIT */
/*
 * Writes metrics in Prometheus' protobuf format: classic and native histograms in the same
 * message, exemplars, and since when a series counts. See metrics.proto.
 */
#ifndef LOOPLAG_DAEMON_PROTOBUF_H
#define LOOPLAG_DAEMON_PROTOBUF_H

#include <stdio.h>

struct metrics;
struct protobuf;

#define PROTOBUF_CONTENT_TYPE                                                        \
	"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; " \
	"encoding=delimited"

/* A writer of these metrics, which are borrowed. NULL without memory. */
struct protobuf *
protobuf_new(const struct metrics *metrics);
void
protobuf_free(struct protobuf *protobuf);

/* Write on, a few dozen samples or some more. Returns 1 while there is more to write, 0 when
 * all is written, or -ENOMEM. */
int
protobuf_write_some(struct protobuf *protobuf, FILE *out);

#endif
