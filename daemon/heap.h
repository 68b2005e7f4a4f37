/* SPDX-License-Identifier: MIT */
/*
 * The daemon's memory, so that what it has is what it needs: what was used for a page, or by
 * loops that are gone, goes back to the system.
 */
#ifndef LOOPLAG_DAEMON_HEAP_H
#define LOOPLAG_DAEMON_HEAP_H

struct event_loop;
struct event_watch;

/* Begin to: large blocks go back at once, small ones each minute, as they lie between others.
 * NULL without memory. */
struct event_watch *
heap_tend(struct event_loop *loop);

#endif
