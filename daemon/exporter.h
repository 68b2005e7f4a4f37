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

/* Metrics without a sample, the caller's. Names will be borrowed from the groups. NULL
 * without memory. */
struct metrics *
exporter_begin(void);

/* Add the series of a group, by its index; each group once, in that order. */
void
exporter_add_group(struct metrics *metrics, const struct groups *groups, size_t index);

/* Add all that is not of series. */
void
exporter_finish(struct metrics *metrics, const struct groups *groups,
	const struct collector_stats *stats, const struct process_stats *process);

#endif
