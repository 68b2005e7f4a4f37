/* SPDX-License-Identifier: MIT */
/* The last minute of a series; see window.h. */

#include "config.h"

#include "daemon/window.h"

#include <stdlib.h>

void
window_fini(struct window *window)
{
	for (unsigned i = 0; i < WINDOW_SLOTS; i++)
		free(window->active[i]);
}

/* Empty a slot for another five seconds. */
static void
drop_slot(struct window *window, unsigned index)
{
	window->sum.life_ns = difference(window->sum.life_ns, window->life_ns[index]);
	window->life_ns[index] = 0;
	if (!window->active[index])
		return;
	counters_subtract(&window->sum, window->active[index]);
	free(window->active[index]);
	window->active[index] = NULL;
	window->sum.max_ns = 0;
	for (unsigned i = 0; i < WINDOW_SLOTS; i++)
		if (window->active[i] && window->active[i]->max_ns > window->sum.max_ns)
			window->sum.max_ns = window->active[i]->max_ns;
}

void
window_advance(struct window *window, uint64_t now_ns)
{
	uint64_t period = now_ns / WINDOW_SLOT_NS;

	if (period <= window->period)
		return;
	if (period - window->period > WINDOW_SLOTS)
		window->period = period - WINDOW_SLOTS;
	while (window->period < period)
		drop_slot(window, ++window->period % WINDOW_SLOTS);
}

void
window_add(struct window *window, const struct counters *delta, uint64_t now_ns)
{
	unsigned index;

	window_advance(window, now_ns);
	index = window->period % WINDOW_SLOTS;
	if (counters_active(delta)) {
		if (!window->active[index])
			window->active[index] = calloc(1, sizeof(struct counters));
		if (!window->active[index])
			return;
		counters_add(window->active[index], delta);
		window->active[index]->life_ns = 0;
		counters_add(&window->sum, delta);
	} else {
		window->sum.life_ns = saturated_sum(window->sum.life_ns, delta->life_ns);
	}
	window->life_ns[index] = saturated_sum(window->life_ns[index], delta->life_ns);
}
