/* SPDX-License-Identifier: MIT */
/*
 * The stalls of a whole run, those of one code path together: how often it was stuck there,
 * and for how long. Where there is no stack, those of one loop and cause are together.
 */
#ifndef LOOPLAG_CLI_WORST_H
#define LOOPLAG_CLI_WORST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/stall.h"

struct stalls;
struct worst;

struct worst_entry {
	uint64_t count;
	uint64_t total_ns;
	uint64_t cause_ns[STALL_CAUSES];
	/* Its sample is that of any of them: they have the same stack. */
	struct stall longest;
};

/* Counts what happens to the stalls from now on. They are borrowed, and must outlive this.
 * NULL on failure. */
struct worst *
worst_new(struct stalls *stalls);
void
worst_free(struct worst *worst);

/* Whether a stall that has ended may still get its stack, or a better one. */
bool
worst_is_waiting(const struct worst *worst, uint64_t now_ns);

/* Nothing comes any more: put the entries in order, the longest total first. Those that
 * last count as they are. */
void
worst_finish(struct worst *worst);

size_t
worst_count(const struct worst *worst);
const struct worst_entry *
worst_at(const struct worst *worst, size_t index);

/* How many stalls found no place in an entry, as there were too many of those. */
uint64_t
worst_left_out(const struct worst *worst);

/* The cause of most of the time. */
enum stall_cause
worst_cause(const struct worst_entry *entry);

#endif
