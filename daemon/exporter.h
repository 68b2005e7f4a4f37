/* SPDX-License-Identifier: MIT */
/*
 * Turns the groups into metrics. Pure. In parts, so that none takes long: what is told of
 * a group is of one moment, other groups may be of a later one.
 */
#ifndef LOOPLAG_DAEMON_EXPORTER_H
#define LOOPLAG_DAEMON_EXPORTER_H

#include <stddef.h>

struct collector_stats;
struct groups;
struct metrics;
struct process_stats;

#define EXPORTER_BOUNDS_MAX 64

struct exporter_options {
	double delay_bounds[EXPORTER_BOUNDS_MAX]; /* rising */
	size_t delay_bound_count;
	unsigned native_buckets; /* at most so many in use; 0: no native histograms */
	double booted_seconds;   /* when CLOCK_MONOTONIC was 0, in seconds of the epoch */
};

/* Metrics without a sample, the caller's. Names will be borrowed from the groups. NULL
 * without memory. */
struct metrics *
exporter_begin(void);

/* Add the series of a group, by its index; each group once, in that order. */
void
exporter_add_group(struct metrics *metrics, const struct groups *groups, size_t index,
	const struct exporter_options *options);

/* Add all that is not of series. */
void
exporter_finish(struct metrics *metrics, const struct groups *groups,
	const struct collector_stats *stats, const struct process_stats *process);

#endif
