/* SPDX-License-Identifier: MIT */
/*
 * The watch: looks at the state of all loops so that a stall is known within the threshold
 * and one tick, which is a quarter of it. A loop that is late is looked at in every tick and
 * as it passes the threshold, the others after each rest of three: so it is seen before it
 * is late for a whole threshold, and no ring of long iterations can overflow in between.
 */
#ifndef LOOPLAG_DAEMON_WATCH_H
#define LOOPLAG_DAEMON_WATCH_H

#include <stdint.h>

struct event_loop;
struct targets;
struct watch;

/* Ticks of a watch for that threshold. */
uint64_t
watch_tick_ns(uint64_t threshold_ns);

/* Between two looks at a loop that was not late, with such ticks: somewhat less than the
 * threshold. */
uint64_t
watch_rest_ns(uint64_t tick_ns);

/* Begin to watch; all is borrowed. NULL on failure. */
struct watch *
watch_new(struct event_loop *loop, struct targets *targets, uint64_t tick_ns);
void
watch_free(struct watch *watch);

/* From the next tick on. */
void
watch_set_tick(struct watch *watch, uint64_t tick_ns);

/* Somebody has come: look within a tick, however long the pause was meant to be. */
void
watch_soon(struct watch *watch);

#endif
