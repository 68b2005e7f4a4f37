/* SPDX-License-Identifier: MIT */
/*
 * Stopping a thread of this process for a moment, by SIGURG, which is ignored by default:
 * one that comes too late harms nobody. The helper asks, and the thread parks in the signal
 * handler, on a futex:
 *
 *	helper   handler_stop() -> ASKED              CLAIMED -> ... -> FREE
 *	thread                       ENTERED -> PARKED                  goes on
 *	                                        20 ms: goes on, FREE
 *
 * The thread goes on by itself if the helper has not come 20 ms after it has parked; once it
 * was claimed it waits until it is let go, and the helper does nothing meanwhile that could
 * wait for a lock which the thread has: no allocation, no loader, no stdio.
 *
 * For what may wait for such a lock there is another phase: after handler_loosen() the
 * thread goes on by itself after 50 ms, though the helper is still at work (LEFT). Then it
 * waits at its next wait call, at most for a second, until the helper calls handler_free().
 */
#ifndef LOOPLAG_PROBES_HANDLER_H
#define LOOPLAG_PROBES_HANDLER_H

#include <stdint.h>

#include "probes/unwind.h"

/* What a parked thread tells of itself. */
struct handler_facts {
	struct unwind_registers registers;
	void *python; /* thread state, or NULL */
	int holds_gil;
	void *isolate; /* of V8, or NULL */
};

/* Begin, in the helper of a process. A forked child's helper does so anew, whatever its
 * parent was about. Returns 0, or -1: stops no threads here. */
int handler_start(uint64_t (*clock_ns)(void));

/* Have the signal's handler in place. Returns -1 if the program has one of its own, which
 * stays. */
int
handler_install(void);

/* Put back what was there, unless the program has put something else there meanwhile. */
void
handler_remove(void);

/* Stop a thread. Returns 0: it is parked until handler_free(), and its facts are borrowed
 * until then. -ESRCH: there is none. -ETIMEDOUT: it did not take the signal in time. */
int
handler_stop(uint32_t tid, uint64_t timeout_ns, const struct handler_facts **ret_facts);

/* Let the thread go on by itself if handler_free() takes too long. */
void
handler_loosen(void);

/* Let it go. */
void
handler_free(void);

/* Wait until the helper has come out of what it was about when this thread went on. */
void
handler_settle(void);

#endif
