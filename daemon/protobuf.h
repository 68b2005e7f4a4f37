/* SPDX-License-Identifier: MIT */
/*
 * Writes metrics in Prometheus' protobuf format: classic and native histograms in the same
 * message, exemplars, and since when a series counts. See metrics.proto.
 */
#ifndef LOOPLAG_DAEMON_PROTOBUF_H
#define LOOPLAG_DAEMON_PROTOBUF_H

#include <stdio.h>

struct metrics;

#define PROTOBUF_CONTENT_TYPE                                                        \
	"application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; " \
	"encoding=delimited"

/* Returns 0 or -ENOMEM. */
__attribute__((warn_unused_result)) int
protobuf_write(FILE *out, const struct metrics *metrics);

#endif
