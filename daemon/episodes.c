/* SPDX-License-Identifier: MIT */
/* From rings and states to episodes; see episodes.h. */

#include "config.h"

#include "daemon/episodes.h"

#include <stdlib.h>

#include "daemon/counters.h"

static int
by_iteration(const void *a, const void *b)
{
	uint64_t x = (*(const struct segment_long *const *)a)->iteration;
	uint64_t y = (*(const struct segment_long *const *)b)->iteration;

	return (x > y) - (x < y);
}

/* The ring's entries that were not looked at yet, in order. */
static size_t
find_fresh(const struct episodes *episodes, const struct segment_slot *slot,
	const struct segment_long *ret_fresh[SEGMENT_RING])
{
	size_t count = 0;

	for (size_t i = 0; i < SEGMENT_RING; i++)
		if (slot->ring[i].iteration > episodes->iteration &&
			slot->ring[i].iteration <= slot->iterations)
			ret_fresh[count++] = &slot->ring[i];
	qsort(ret_fresh, count, sizeof(*ret_fresh), by_iteration);
	return count;
}

static struct episode
end_open(struct episodes *episodes, uint64_t length_ns, uint64_t nested_ns)
{
	struct episode ended = {
		EPISODES_ENDED, episodes->open_since, length_ns, nested_ns};

	episodes->end_ns = saturated_sum(episodes->open_since, length_ns);
	episodes->told_ns = saturated_sum(episodes->told_ns, length_ns);
	episodes->open_since = episodes->open_ns = 0;
	return ended;
}

/* Whether an entry can be true: there was time for it, and it has ended by now. */
static bool
is_possible(const struct episodes *episodes, const struct segment_long *entry,
	const struct episodes_look *look)
{
	uint64_t end_ns = entry->start_ns + entry->length_ns;

	if (saturated_sum(episodes->told_ns, entry->length_ns) > look->budget_ns)
		return false;
	return entry->start_ns && end_ns >= entry->start_ns &&
	       (!look->after_ns || end_ns <= look->after_ns);
}

/* Take one entry of the ring. Returns how many episodes were told. */
static size_t
take_entry(struct episodes *episodes, const struct segment_long *entry,
	const struct episodes_look *look, struct episode *ret)
{
	size_t count = 0;

	episodes->iteration = entry->iteration;
	if (!is_possible(episodes, entry, look))
		return 0;
	if (episodes->open_since && entry->start_ns == episodes->open_since) {
		*ret = end_open(episodes, entry->length_ns, entry->nested_ns);
		return 1;
	}
	if (entry->length_ns <= look->threshold_ns || entry->start_ns < episodes->end_ns)
		return 0;
	if (episodes->open_since) {
		/* That one has vanished, or this one is a lie. */
		if (entry->start_ns < episodes->open_since + episodes->open_ns)
			return 0;
		ret[count++] = end_open(episodes, episodes->open_ns, 0);
	}
	ret[count++] = (struct episode){
		EPISODES_WHOLE, entry->start_ns, entry->length_ns, entry->nested_ns};
	episodes->end_ns = entry->start_ns + entry->length_ns;
	episodes->told_ns += entry->length_ns;
	return count;
}

/* See what has become of the open one, and whether there is a new one. */
static size_t
take_state(
	struct episodes *episodes, const struct episodes_look *look, struct episode *ret)
{
	uint64_t since = look->open_ns ? look->open_since : 0;
	uint64_t length = episodes->open_ns;
	size_t count = 0;

	if (episodes->open_since && since == episodes->open_since) {
		if (look->open_ns > episodes->open_ns)
			episodes->open_ns = look->open_ns;
		*ret = (struct episode){EPISODES_GOES_ON, since, episodes->open_ns, 0};
		return 1;
	}
	if (episodes->open_since) {
		if (difference(look->died_ns, episodes->open_since) > length)
			length = look->died_ns - episodes->open_since;
		ret[count++] = end_open(episodes, length, 0);
	}
	if (look->open_ns > look->threshold_ns && since >= episodes->end_ns) {
		episodes->open_since = since;
		episodes->open_ns = look->open_ns;
		ret[count++] = (struct episode){EPISODES_OPEN, since, look->open_ns, 0};
	}
	return count;
}

size_t
episodes_look(struct episodes *episodes, const struct segment_slot *slot,
	const struct episodes_look *look, struct episode ret_episodes[EPISODES_MAX])
{
	const struct segment_long *fresh[SEGMENT_RING];
	uint64_t written, possible = look->budget_ns / SEGMENT_LONG_NS + 1;
	size_t count = 0, fresh_count;

	if (look->torn)
		return 0;
	if (!episodes->started) {
		episodes->started = true;
		episodes->end_ns = look->known_ns;
		if (look->known_ns)
			episodes->long_count = slot->long_count;
	}
	fresh_count = find_fresh(episodes, slot, fresh);
	for (size_t i = 0; i < fresh_count; i++)
		count += take_entry(episodes, fresh[i], look, ret_episodes + count);
	written = difference(slot->long_count, episodes->long_count);
	/* So many have never been, whatever the slot says. */
	if (written > possible)
		written = possible;
	if (written > SEGMENT_RING)
		episodes->lost = saturated_sum(episodes->lost, written - SEGMENT_RING);
	episodes->long_count = slot->long_count;
	return count + take_state(episodes, look, ret_episodes + count);
}

bool
episodes_skip(struct episodes *episodes, const struct segment_long ring[SEGMENT_RING],
	uint64_t long_count, uint64_t threshold_ns)
{
	uint64_t iteration = episodes->iteration;

	if (!episodes->started || episodes->open_since ||
		long_count < episodes->long_count ||
		long_count - episodes->long_count > SEGMENT_RING / 2)
		return false;
	for (uint64_t n = episodes->long_count; n < long_count; n++) {
		const struct segment_long *entry = &ring[n % SEGMENT_RING];

		if (entry->length_ns > threshold_ns || entry->iteration <= iteration)
			return false;
		iteration = entry->iteration;
	}
	episodes->iteration = iteration;
	episodes->long_count = long_count;
	return true;
}
