/* SPDX-License-Identifier: MIT */
/*
 * The helper thread, asleep on the daemon's doorbell with every signal blocked. It exists
 * only in V8 and CPython processes that have a loop (LOOPLAG_HELPER says otherwise), and
 * only if a doorbell was there at the start.
 *
 * It has a descriptor table of its own, so that what it opens for a moment is never seen
 * by the program. When a daemon has come up without the segments of the last one, it
 * registers again: the loops move to a new segment, with all their counts, one by one at
 * their next edge. When the daemon wants stacks, it takes those of the loops that are late
 * (capture.h).
 */
#ifndef LOOPLAG_PROBES_HELPER_H
#define LOOPLAG_PROBES_HELPER_H

#include <stdint.h>

#include "probes/registration.h"

/* Map the doorbell beside the daemon's socket. At the start of the process; keeps no
 * descriptor. */
void
helper_prepare(const struct registration *registration);

/* Start the helper, if this process is to have one. `registration` stays borrowed. Keeps
 * errno; a failure leaves the process without a helper. */
void
helper_start(struct registration *registration, uint64_t (*clock_ns)(void));

#endif
