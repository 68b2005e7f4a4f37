/* SPDX-License-Identifier: MIT */
/*
 * Taking stacks of stalled loops into the capture records of the segment (segment.h), in
 * the helper:
 *
 *	find the loops of this process that are late, and list the mapped objects
 *	for each: stop its thread (handler.h)
 *	          copy its stack, let CPython write its own, ask V8
 *	          let it go
 *	          walk the copy, fill in the record
 *	if it waits for the GIL: the same for the thread that holds that
 */
#ifndef LOOPLAG_PROBES_CAPTURE_H
#define LOOPLAG_PROBES_CAPTURE_H

#include <stdint.h>

/* Begin, in the helper of a process. Returns 0, or -1: no stacks can be taken here. */
int capture_start(uint64_t (*clock_ns)(void));

/* Take a stack of each loop of this process that has been unattended for that long. */
void
capture_take(uint64_t stall_ns);

#endif
