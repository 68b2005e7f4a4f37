/* SPDX-License-Identifier: MIT */
/* Turns the groups into metrics. Pure. */
#ifndef LOOPLAG_DAEMON_EXPORTER_H
#define LOOPLAG_DAEMON_EXPORTER_H

struct collector_stats;
struct groups;
struct metrics;
struct process_stats;

/* All that is exported; caller frees. Names are borrowed from the groups. NULL without
 * memory. */
struct metrics *
exporter_collect(const struct groups *groups, const struct collector_stats *stats,
	const struct process_stats *process);

#endif
