/* SPDX-License-Identifier: MIT */
/* The last minute of a series; see window.h. */

#include "config.h"

#include "daemon/window.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void
window_fini(struct window *window)
{
	free(window->counters);
}

static bool
is_active(const struct window *window, unsigned index)
{
	return window->active & 1u << index;
}

/* The longest iteration of all slots. */
static uint64_t
find_longest(const struct window *window)
{
	uint64_t max_ns = 0;

	for (unsigned i = 0; i < WINDOW_SLOTS; i++)
		if (is_active(window, i) && window->counters[i].max_ns > max_ns)
			max_ns = window->counters[i].max_ns;
	return max_ns;
}

/* Empty a slot for another five seconds. */
static void
drop_slot(struct window *window, unsigned index)
{
	window->sum.life_ns = difference(window->sum.life_ns, window->life_ns[index]);
	window->life_ns[index] = 0;
	if (!is_active(window, index))
		return;
	counters_subtract(&window->sum, &window->counters[index]);
	window->active &= ~(1u << index);
	window->sum.max_ns = find_longest(window);
	if (!window->active) {
		free(window->counters);
		window->counters = NULL;
	}
}

/* The counters of a slot, from now on active. NULL without memory. */
static struct counters *
get_active(struct window *window, unsigned index)
{
	struct counters *counters;

	/* All slots at once, as so much is a mapping of its own and leaves no hole. */
	if (!window->counters)
		window->counters = calloc(WINDOW_SLOTS, sizeof(*window->counters));
	if (!window->counters)
		return NULL;
	counters = &window->counters[index];
	if (!is_active(window, index))
		memset(counters, 0, sizeof(*counters));
	window->active |= 1u << index;
	return counters;
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
		struct counters *counters = get_active(window, index);

		if (!counters)
			return;
		counters_add(counters, delta);
		counters->life_ns = 0;
		counters_add(&window->sum, delta);
	} else {
		window->sum.life_ns = saturated_sum(window->sum.life_ns, delta->life_ns);
	}
	window->life_ns[index] = saturated_sum(window->life_ns[index], delta->life_ns);
}
