/* SPDX-License-Identifier: MIT */
/*
 * The stalls: those that last, and the last ones that ended. Whoever finds that a stall
 * begins, goes on or ends tells it here; whoever wants to know of it (journal, metrics,
 * pages, captures) subscribes or looks. Pure: takes time as an argument.
 *
 *	stalls_open -> stalls_update ... -> stalls_end
 *	stalls_report: began and ended between two looks
 */
#ifndef LOOPLAG_DAEMON_STALLS_H
#define LOOPLAG_DAEMON_STALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/stall.h"

#define STALLS_KEPT 1000 /* that have ended; fewer if their stacks are very long */

struct stalls;

enum stalls_event { STALLS_OPENED, STALLS_ENDED, STALLS_SAMPLED };
typedef void (*stalls_fn)(void *arg, const struct stall *stall, enum stalls_event event);

struct stalls *
stalls_new(void);
void
stalls_free(struct stalls *stalls);

/* From now on fn(arg, ...) is called with each event, in the order in which it happened;
 * it must not change the stalls. A stall that is reported whole opens and ends at once.
 * Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
stalls_subscribe(struct stalls *stalls, stalls_fn fn, void *arg);

/* Nothing is told to fn(arg, ...) any more. */
void
stalls_unsubscribe(struct stalls *stalls, stalls_fn fn, void *arg);

/* A stall begins: `stall` without id, length, cause, shares and sample. Returns its id, or
 * 0 without memory. */
uint64_t
stalls_open(struct stalls *stalls, const struct stall *stall, uint64_t length_ns);

/* It goes on. What is known of its cause so far. */
struct stalls_cause {
	enum stall_cause cause;
	double shares[STALL_CAUSES];
	const char *system_call; /* constant */
};
void
stalls_update(struct stalls *stalls, uint64_t id, uint64_t length_ns,
	const struct stalls_cause *cause);

/* It is over, or the loop or its process is. */
void
stalls_end(struct stalls *stalls, uint64_t id, uint64_t length_ns,
	const struct stalls_cause *cause);

/* A capture shows where it is; also after its end, if it is still kept. Takes over what
 * the sample owns. */
void
stalls_add_sample(struct stalls *stalls, uint64_t id, struct stall_sample *sample);

/* The group is about to be forgotten: its stalls are, too. */
void
stalls_forget_group(struct stalls *stalls, const char *groupname);

/* The stall of that id, or NULL. Borrowed until the next call that changes the stalls. */
const struct stall *
stalls_find(const struct stalls *stalls, uint64_t id);

/* The first one that is kept and has a greater id, or NULL; the same. */
const struct stall *
stalls_after(const struct stalls *stalls, uint64_t id);

/* All that are kept, oldest first. */
size_t
stalls_count(const struct stalls *stalls);
const struct stall *
stalls_at(const struct stalls *stalls, size_t index);

#endif
