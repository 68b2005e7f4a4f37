/* SPDX-License-Identifier: MIT */
/* See states.h. An open table of the numbers; 0 is a free place. */

#include "config.h"

#include "tests/explore/states.h"

#include <stdlib.h>

static struct {
	uint64_t *keys;
	size_t count, room;
} seen;

uint64_t
states_mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 29;
}

static void
make_room(size_t room)
{
	seen.room = room;
	seen.count = 0;
	seen.keys = calloc(room, sizeof(*seen.keys));
	if (!seen.keys)
		abort();
}

static void
add(uint64_t key)
{
	size_t i = key % seen.room;

	while (seen.keys[i])
		i = (i + 1) % seen.room;
	seen.keys[i] = key;
	seen.count++;
}

bool
states_was_seen(uint64_t state)
{
	size_t i = state % seen.room, room = seen.room;
	uint64_t *keys = seen.keys;

	for (; keys[i]; i = (i + 1) % room)
		if (keys[i] == state)
			return true;
	if (2 * seen.count >= room) {
		make_room(4 * room);
		for (size_t j = 0; j < room; j++)
			if (keys[j])
				add(keys[j]);
		free(keys);
	}
	add(state);
	return false;
}

size_t
states_count(void)
{
	return seen.count;
}

void
states_forget(void)
{
	free(seen.keys);
	make_room(1 << 14);
}
