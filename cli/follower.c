/* SPDX-License-Identifier: MIT */
/*
 * Remembers the newest stall, and those that are not shown for the last time.
 *
 * A daemon that was started anew counts its stalls from 1 again. It is told from the old
 * one by the newest stall, which we ask for each time: it is not there, or another one.
 */

#include "config.h"

#include "cli/follower.h"

#include <stdlib.h>

#include "daemon/stall_words.h"

struct watched {
	uint64_t id;
	unsigned answers; /* since it has ended */
	bool seen;        /* in this answer */
	bool shown;       /* as open */
};

struct follower {
	uint64_t newest;
	int64_t newest_started; /* when, by which it is known again */
	bool newest_seen, newer_seen, other;
	struct watched *watched;
	size_t count, room;
};

struct follower *
follower_new(void)
{
	return calloc(1, sizeof(struct follower));
}

void
follower_free(struct follower *follower)
{
	if (follower)
		free(follower->watched);
	free(follower);
}

uint64_t
follower_since(const struct follower *follower)
{
	uint64_t oldest = follower->newest;

	for (size_t i = 0; i < follower->count; i++)
		if (follower->watched[i].id < oldest)
			oldest = follower->watched[i].id;
	return oldest ? oldest - 1 : 0;
}

void
follower_begin(struct follower *follower)
{
	follower->newest_seen = follower->newer_seen = follower->other = false;
	for (size_t i = 0; i < follower->count; i++)
		follower->watched[i].seen = false;
}

/* The record of a stall that may have to be shown; NULL if that is over. */
static struct watched *
watch(struct follower *follower, const struct stall *stall)
{
	struct watched *grown;

	for (size_t i = 0; i < follower->count; i++)
		if (follower->watched[i].id == stall->id)
			return &follower->watched[i];
	if (stall->id <= follower->newest)
		return NULL;
	if (follower->count == follower->room) {
		grown = reallocarray(
			follower->watched, follower->room + 64, sizeof *grown);
		if (!grown)
			return NULL;
		follower->watched = grown;
		follower->room += 64;
	}
	follower->watched[follower->count] = (struct watched){.id = stall->id};
	return &follower->watched[follower->count++];
}

bool
follower_take(struct follower *follower, const struct stall *stall)
{
	struct watched *watched;
	bool first;

	if (stall->id == follower->newest) {
		follower->newest_seen = true;
		follower->other |= stall->started_unix_ns != follower->newest_started;
	}
	follower->newer_seen |= stall->id > follower->newest;
	if (follower->other || !(watched = watch(follower, stall)))
		return false;
	if (stall->id > follower->newest) {
		follower->newest = stall->id;
		follower->newest_started = stall->started_unix_ns;
	}
	watched->seen = true;
	if (stall->open) {
		first = !watched->shown;
		watched->shown = true;
		return first;
	}
	if (!stall_words_are_whole(&stall->sample) &&
		watched->answers++ < FOLLOWER_PATIENCE)
		return false;
	watched->seen = false;
	return true;
}

bool
follower_end(struct follower *follower)
{
	size_t kept = 0;

	if (follower->newest && !follower->newest_seen && !follower->newer_seen)
		follower->other = true;
	if (follower->other) {
		follower->newest = 0;
		follower->count = 0;
		return false;
	}
	for (size_t i = 0; i < follower->count; i++)
		if (follower->watched[i].seen)
			follower->watched[kept++] = follower->watched[i];
	follower->count = kept;
	return true;
}
