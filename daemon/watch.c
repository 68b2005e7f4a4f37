/* SPDX-License-Identifier: MIT */
/* The tick; see watch.h. */

#include "config.h"

#include "daemon/watch.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/event.h"
#include "daemon/log.h"
#include "daemon/targets.h"

#define TICK_MIN_NS 2500000ull
/* A ring has room for 32 iterations of 10 ms. */
#define TICK_MAX_NS 250000000ull
/* Between two parts of a round: others of our events have their turn. */
#define PAUSE_NS 1000000ull

struct watch {
	struct event_loop *loop;
	struct targets *targets;
	struct event_watch *timer;
	uint64_t tick_ns;
	uint64_t next_ns; /* when the timer fires */
};

uint64_t
watch_tick_ns(uint64_t threshold_ns)
{
	uint64_t tick_ns = threshold_ns / 4;

	return tick_ns < TICK_MIN_NS   ? TICK_MIN_NS
	       : tick_ns > TICK_MAX_NS ? TICK_MAX_NS
				       : tick_ns;
}

uint64_t
watch_rest_ns(uint64_t tick_ns)
{
	/* One that has been late for less than a quarter of a tick is looked at before it stalls. */
	uint64_t rest_ns = 4 * tick_ns - tick_ns / 4;

	return rest_ns < TICK_MAX_NS ? rest_ns : TICK_MAX_NS;
}

static void
tick(void *arg);

/* Have the next round after that pause, instead of the one that was to come. Returns 0 or
 * -ENOMEM. */
static int
plan(struct watch *watch, uint64_t pause_ns)
{
	event_watch_free(watch->timer);
	watch->next_ns = event_now_ns() + pause_ns;
	watch->timer = event_after(watch->loop, pause_ns, tick, watch);
	if (watch->timer)
		return 0;
	log_error("watch", "no memory for the next tick: stalls are found by the second "
			   "from now on");
	return -ENOMEM;
}

static void
tick(void *arg)
{
	struct watch *watch = arg;
	uint64_t now_ns = event_now_ns(), pause_ns = PAUSE_NS, next_ns;

	if (targets_watch(watch->targets, now_ns, &next_ns)) {
		pause_ns = next_ns > now_ns ? next_ns - now_ns : 0;
		if (pause_ns < PAUSE_NS)
			pause_ns = PAUSE_NS;
		if (pause_ns > TICK_MAX_NS)
			pause_ns = TICK_MAX_NS;
	}
	(void)plan(watch, pause_ns);
}

struct watch *
watch_new(struct event_loop *loop, struct targets *targets, uint64_t tick_ns)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->loop = loop;
	watch->targets = targets;
	watch->tick_ns = tick_ns;
	if (plan(watch, tick_ns) < 0) {
		free(watch);
		return NULL;
	}
	return watch;
}

void
watch_free(struct watch *watch)
{
	if (!watch)
		return;
	event_watch_free(watch->timer);
	free(watch);
}

void
watch_set_tick(struct watch *watch, uint64_t tick_ns)
{
	watch->tick_ns = tick_ns;
}

void
watch_soon(struct watch *watch)
{
	/* Those that come one after the other must not put it off for ever. */
	if (watch->next_ns > event_now_ns() + watch->tick_ns)
		(void)plan(watch, watch->tick_ns);
}
