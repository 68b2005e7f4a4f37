/* SPDX-License-Identifier: MIT */
/*
 * The metrics by which prom-client, the usual library of Node.js services, tells of event
 * loops, for dashboards that know those. Names, types and words are its (15.1); what is
 * in them is our delay over the last minute, which needs no timer.
 */
#ifndef LOOPLAG_DAEMON_PROM_CLIENT_H
#define LOOPLAG_DAEMON_PROM_CLIENT_H

#include <stddef.h>

struct groups;
struct metrics;

/* Add the families without a sample. Returns the index of the first one. */
size_t
prom_client_begin(struct metrics *metrics);

/* Add what there is to tell of a group, by its index: of one that runs on Node.js, the loop
 * of the main thread. `first` is what prom_client_begin() returned. */
void
prom_client_add_group(
	struct metrics *metrics, size_t first, const struct groups *groups, size_t index);

#endif
