/* SPDX-License-Identifier: MIT */
/*
 * The store of stalls; see stalls.h. They stand in one array in the order of their ids.
 * When there are too many the group that weighs most gives one up, so that no group pushes
 * out another one's; and while it has more open than there is room left it may not open
 * another. Long stacks weigh more: all that are kept are one answer to who asks for them.
 */

#include "config.h"

#include "daemon/stalls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cause.h"
#include "daemon/frames.h"

#define OPEN_MAX 4096
#define WEIGHT 512            /* of a stall, in bytes, and the text of its stack */
#define WEIGHT_MAX (8u << 20) /* of those that have ended */
#define SUBSCRIBERS_MAX 8

/* A group, as far as it has stalls here. */
struct share {
	const char *groupname;
	size_t open, ended;
	size_t weight; /* of those that have ended */
};

struct entry {
	struct stall stall;
	struct stalls_cause seen; /* as it was told, without what the samples say */
	bool waits_gil;           /* one of them says */
	size_t weight;
};

struct stalls {
	struct entry **entries;
	size_t count, room;
	uint64_t last_id;
	size_t open;   /* of them */
	size_t weight; /* of the others */
	struct share *shares;
	size_t share_count;
	struct {
		stalls_fn fn;
		void *arg;
	} subscribers[SUBSCRIBERS_MAX];
	size_t subscriber_count;
};

struct stalls *
stalls_new(void)
{
	return calloc(1, sizeof(struct stalls));
}

static void
entry_free(struct entry *entry)
{
	stall_sample_fini(&entry->stall.sample);
	free(entry);
}

void
stalls_free(struct stalls *stalls)
{
	if (!stalls)
		return;
	for (size_t i = 0; i < stalls->count; i++)
		entry_free(stalls->entries[i]);
	free(stalls->entries);
	free(stalls->shares);
	free(stalls);
}

int
stalls_subscribe(struct stalls *stalls, stalls_fn fn, void *arg)
{
	if (stalls->subscriber_count == SUBSCRIBERS_MAX)
		return -ENOSPC;
	stalls->subscribers[stalls->subscriber_count].fn = fn;
	stalls->subscribers[stalls->subscriber_count++].arg = arg;
	return 0;
}

void
stalls_unsubscribe(struct stalls *stalls, stalls_fn fn, void *arg)
{
	size_t kept = 0;

	for (size_t i = 0; i < stalls->subscriber_count; i++)
		if (stalls->subscribers[i].fn != fn || stalls->subscribers[i].arg != arg)
			stalls->subscribers[kept++] = stalls->subscribers[i];
	stalls->subscriber_count = kept;
}

static void
tell(const struct stalls *stalls, const struct entry *entry, enum stalls_event event)
{
	for (size_t i = 0; i < stalls->subscriber_count; i++)
		stalls->subscribers[i].fn(
			stalls->subscribers[i].arg, &entry->stall, event);
}

/* The group's share, made if need be; NULL without memory. While
 * it is there it is the same group if and only if it is the same pointer; there are few. */
static struct share *
find_share(struct stalls *stalls, const char *groupname)
{
	struct share *larger;

	for (size_t i = 0; i < stalls->share_count; i++)
		if (stalls->shares[i].groupname == groupname)
			return &stalls->shares[i];
	larger = realloc(stalls->shares, (stalls->share_count + 1) * sizeof(*larger));
	if (!larger)
		return NULL;
	stalls->shares = larger;
	larger[stalls->share_count] = (struct share){.groupname = groupname};
	return &larger[stalls->share_count++];
}

/* Where the first one stands whose id is not less; their number if there is none. */
static size_t
find_place(const struct stalls *stalls, uint64_t id)
{
	size_t from = 0, to = stalls->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (stalls->entries[middle]->stall.id < id)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static struct entry *
find(const struct stalls *stalls, uint64_t id)
{
	size_t place = find_place(stalls, id);

	return place < stalls->count && stalls->entries[place]->stall.id == id
		       ? stalls->entries[place]
		       : NULL;
}

static size_t
text_bytes(const char *text)
{
	return text ? strlen(text) : 0;
}

static size_t
weigh(const struct stall_sample *sample)
{
	size_t weight = WEIGHT;

	for (size_t i = 0; i < sample->count; i++)
		weight += sizeof(sample->frames[i]) +
			  text_bytes(sample->frames[i].function) +
			  text_bytes(sample->frames[i].file) +
			  text_bytes(sample->frames[i].module);
	return weight;
}

/* Count the entry among those that have ended, or no longer. */
static void
count_ended(struct stalls *stalls, const struct entry *entry, bool counts)
{
	struct share *share = find_share(stalls, entry->stall.groupname);

	if (counts) {
		share->ended++;
		share->weight += entry->weight;
		stalls->weight += entry->weight;
	} else {
		share->ended--;
		share->weight -= entry->weight;
		stalls->weight -= entry->weight;
	}
}

/* Drop the oldest that has ended of the group whose ended ones weigh most. */
static void
drop_one(struct stalls *stalls)
{
	struct share *most = &stalls->shares[0];
	size_t i = 0;

	for (size_t j = 1; j < stalls->share_count; j++)
		if (stalls->shares[j].weight > most->weight)
			most = &stalls->shares[j];
	while (stalls->entries[i]->stall.open ||
		stalls->entries[i]->stall.groupname != most->groupname)
		i++;
	count_ended(stalls, stalls->entries[i], false);
	entry_free(stalls->entries[i]);
	stalls->count--;
	memmove(&stalls->entries[i], &stalls->entries[i + 1],
		(stalls->count - i) * sizeof(*stalls->entries));
}

static void
drop_what_is_too_much(struct stalls *stalls)
{
	while (stalls->count - stalls->open > STALLS_KEPT || stalls->weight > WEIGHT_MAX)
		drop_one(stalls);
}

/* Make room for one more. Returns whether there is. */
static bool
grow(struct stalls *stalls)
{
	size_t room = stalls->room ? 2 * stalls->room : 64;
	struct entry **larger;

	if (stalls->count < stalls->room)
		return true;
	larger = realloc(stalls->entries, room * sizeof(*larger));
	if (!larger)
		return false;
	stalls->entries = larger;
	stalls->room = room;
	return true;
}

/* Make the stall show what is known of its cause. */
static void
set_cause(struct entry *entry)
{
	struct stalls_cause cause = entry->seen;

	if (entry->waits_gil)
		cause_waits_gil(&cause);
	entry->stall.cause = cause.cause;
	memcpy(entry->stall.shares, cause.shares, sizeof(cause.shares));
	entry->stall.system_call = cause.system_call;
}

uint64_t
stalls_open(struct stalls *stalls, const struct stall *stall, uint64_t length_ns)
{
	struct share *share = find_share(stalls, stall->groupname);
	struct entry *entry;

	if (!share || share->open >= OPEN_MAX - stalls->open || !grow(stalls))
		return 0;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return 0;
	entry->stall = (struct stall){
		.id = ++stalls->last_id,
		.groupname = stall->groupname,
		.loop = stall->loop,
		.pid = stall->pid,
		.tid = stall->tid,
		.started_ns = stall->started_ns,
		.started_unix_ns = stall->started_unix_ns,
		.length_ns = length_ns,
		.open = true,
	};
	entry->weight = weigh(&entry->stall.sample);
	stalls->entries[stalls->count++] = entry;
	stalls->open++;
	share->open++;
	tell(stalls, entry, STALLS_OPENED);
	return entry->stall.id;
}

void
stalls_update(struct stalls *stalls, uint64_t id, uint64_t length_ns,
	const struct stalls_cause *cause)
{
	struct entry *entry = find(stalls, id);

	if (!entry || !entry->stall.open)
		return;
	entry->stall.length_ns = length_ns;
	entry->seen = *cause;
	set_cause(entry);
}

void
stalls_end(struct stalls *stalls, uint64_t id, uint64_t length_ns,
	const struct stalls_cause *cause)
{
	struct entry *entry = find(stalls, id);
	struct share *share;

	if (!entry || !entry->stall.open)
		return;
	stalls_update(stalls, id, length_ns, cause);
	entry->stall.open = false;
	share = find_share(stalls, entry->stall.groupname);
	share->open--;
	stalls->open--;
	count_ended(stalls, entry, true);
	tell(stalls, entry, STALLS_ENDED);
	drop_what_is_too_much(stalls);
}

void
stalls_forget_group(struct stalls *stalls, const char *groupname)
{
	size_t kept = 0;

	for (size_t i = 0; i < stalls->count; i++) {
		struct entry *entry = stalls->entries[i];

		if (entry->stall.groupname != groupname) {
			stalls->entries[kept++] = entry;
			continue;
		}
		if (entry->stall.open)
			stalls->open--;
		else
			stalls->weight -= entry->weight;
		entry_free(entry);
	}
	stalls->count = kept;
	for (size_t i = 0; i < stalls->share_count; i++)
		if (stalls->shares[i].groupname == groupname)
			stalls->shares[i--] = stalls->shares[--stalls->share_count];
}

/* How much a sample says. While a script's frames are missing, the application's frame may
 * be any function of a library. */
static int
rank(const struct stall_sample *sample)
{
	if (!sample->count)
		return 0;
	return 1 + (frames_application(sample) != NULL) + !sample->missing;
}

void
stalls_add_sample(struct stalls *stalls, uint64_t id, struct stall_sample *sample)
{
	struct entry *entry = find(stalls, id);
	struct stall *stall;

	if (!entry) {
		stall_sample_fini(sample);
		return;
	}
	stall = &entry->stall;
	entry->waits_gil = entry->waits_gil || sample->waits_gil;
	stall->samples += sample->count > 0;
	/* Of those that say nothing the first one tells why: it was there longest. */
	if (rank(sample) > rank(&stall->sample) ||
		(!rank(&stall->sample) && !stall->sample.missing)) {
		if (!stall->open)
			count_ended(stalls, entry, false);
		stall_sample_fini(&stall->sample);
		stall->sample = *sample;
		entry->weight = weigh(sample);
		if (!stall->open)
			count_ended(stalls, entry, true);
		stall->stack_id = frames_stack_id(sample);
		memset(sample, 0, sizeof(*sample));
	} else {
		stall_sample_fini(sample);
	}
	set_cause(entry);
	tell(stalls, entry, STALLS_SAMPLED);
	drop_what_is_too_much(stalls);
}

const struct stall *
stalls_find(const struct stalls *stalls, uint64_t id)
{
	const struct entry *entry = find(stalls, id);

	return entry ? &entry->stall : NULL;
}

const struct stall *
stalls_after(const struct stalls *stalls, uint64_t id)
{
	size_t place = id < UINT64_MAX ? find_place(stalls, id + 1) : stalls->count;

	return place < stalls->count ? &stalls->entries[place]->stall : NULL;
}

size_t
stalls_count(const struct stalls *stalls)
{
	return stalls->count;
}

const struct stall *
stalls_at(const struct stalls *stalls, size_t index)
{
	return &stalls->entries[index]->stall;
}
