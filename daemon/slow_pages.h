/* SPDX-License-Identifier: MIT */
/*
 * The pages that grow with the number of groups and stalls, made in steps: first all is
 * read, some at a time; then a group is told what is open in it, and told of, in one step,
 * as more may be read in between; and what is counted is kept in the ledger before it is
 * sent. For stalls it is enough to look, which is less work, and no group is told.
 */
#ifndef LOOPLAG_DAEMON_SLOW_PAGES_H
#define LOOPLAG_DAEMON_SLOW_PAGES_H

#include <stdbool.h>

#include "daemon/accept.h"
#include "daemon/http.h"

struct alerting;
struct api_histograms;
struct api_stalls;
struct collector;
struct reload;

/* What is told of; borrowed. */
struct slow_pages_sources {
	struct collector *collector;
	const struct reload *reload;
	const struct alerting *alerting;
	const struct http *http; /* NULL until it serves */
	bool prom_client;        /* in the metrics, too */
	double booted_seconds;   /* when CLOCK_MONOTONIC was 0, in seconds of the epoch */
};

/* Each is the server's to free; NULL without memory. The last two take over what was asked
 * for, unless they fail. */
struct http_work *
slow_pages_metrics(const struct slow_pages_sources *sources, enum accept_format format);
struct http_work *
slow_pages_groups(const struct slow_pages_sources *sources);
struct http_work *
slow_pages_histograms(
	const struct slow_pages_sources *sources, struct api_histograms *asked);
struct http_work *
slow_pages_stalls(const struct slow_pages_sources *sources, struct api_stalls *asked);

#endif
