/* SPDX-License-Identifier: MIT */
/*
 * Stalls are added up some time after they have ended, since their stacks may come later
 * than the end, and before the store has forgotten them: it keeps more than we let wait.
 */

#include "config.h"

#include "cli/worst.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/stall_words.h"
#include "daemon/stalls.h"

#define WAITING_MAX (STALLS_KEPT / 2)
#define ENTRIES_MAX 1000
/* How long after its end a stall may get its first frames, and those of a script above
 * native ones. */
#define FIRST_NS 1000000000ull
#define BETTER_NS 300000000ull

struct worst {
	struct stalls *stalls;
	uint64_t waiting[WAITING_MAX]; /* ids, oldest first */
	size_t waiting_count;
	struct worst_entry *entries;
	size_t count;
	uint64_t left_out;
};

/* Whether both are stuck in one place, as far as that is known. */
static bool
are_alike(const struct stall *a, const struct stall *b)
{
	if (a->groupname != b->groupname || a->stack_id != b->stack_id)
		return false;
	return a->stack_id || (a->loop == b->loop && a->cause == b->cause);
}

static char *
copy_text(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* A sample of our own; without memory it has fewer frames. */
static struct stall_sample
copy_sample(const struct stall_sample *sample)
{
	struct stall_sample copy = *sample;

	copy.frames = calloc(sample->count + 1, sizeof *copy.frames);
	if (!copy.frames)
		copy.count = 0;
	for (size_t i = 0; i < copy.count; i++) {
		copy.frames[i] = sample->frames[i];
		copy.frames[i].function = copy_text(sample->frames[i].function);
		copy.frames[i].file = copy_text(sample->frames[i].file);
		copy.frames[i].module = copy_text(sample->frames[i].module);
	}
	return copy;
}

/* The entry that a stall belongs to; NULL if there is no room for a new one. */
static struct worst_entry *
entry_of(struct worst *worst, const struct stall *stall)
{
	for (size_t i = 0; i < worst->count; i++)
		if (are_alike(&worst->entries[i].longest, stall))
			return &worst->entries[i];
	return worst->count < ENTRIES_MAX ? &worst->entries[worst->count++] : NULL;
}

static void
add(struct worst *worst, const struct stall *stall)
{
	struct worst_entry *entry = entry_of(worst, stall);

	if (!entry) {
		worst->left_out++;
		return;
	}
	entry->count++;
	entry->total_ns += stall->length_ns;
	entry->cause_ns[stall->cause] += stall->length_ns;
	if (entry->count == 1 || stall->length_ns > entry->longest.length_ns) {
		stall_sample_fini(&entry->longest.sample);
		entry->longest = *stall;
		entry->longest.sample = copy_sample(&stall->sample);
	}
}

/* Add up the oldest of those that wait. */
static void
add_oldest(struct worst *worst, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct stall *stall = stalls_find(worst->stalls, worst->waiting[i]);

		if (stall)
			add(worst, stall);
		else
			worst->left_out++;
	}
	worst->waiting_count -= count;
	memmove(worst->waiting, worst->waiting + count,
		worst->waiting_count * sizeof *worst->waiting);
}

static void
take_event(void *arg, const struct stall *stall, enum stalls_event event)
{
	struct worst *worst = arg;

	if (event != STALLS_ENDED)
		return;
	if (worst->waiting_count == WAITING_MAX)
		add_oldest(worst, WAITING_MAX / 2);
	worst->waiting[worst->waiting_count++] = stall->id;
}

struct worst *
worst_new(struct stalls *stalls)
{
	struct worst *worst = calloc(1, sizeof *worst);

	if (!worst)
		return NULL;
	worst->stalls = stalls;
	worst->entries = calloc(ENTRIES_MAX, sizeof *worst->entries);
	if (!worst->entries || stalls_subscribe(stalls, take_event, worst)) {
		worst_free(worst);
		return NULL;
	}
	return worst;
}

void
worst_free(struct worst *worst)
{
	if (!worst)
		return;
	stalls_unsubscribe(worst->stalls, take_event, worst);
	for (size_t i = 0; i < worst->count; i++)
		stall_sample_fini(&worst->entries[i].longest.sample);
	free(worst->entries);
	free(worst);
}

bool
worst_is_waiting(const struct worst *worst, uint64_t now_ns)
{
	for (size_t i = 0; i < worst->waiting_count; i++) {
		const struct stall *stall = stalls_find(worst->stalls, worst->waiting[i]);
		uint64_t patience_ns;

		if (!stall || stall_words_are_whole(&stall->sample))
			continue;
		patience_ns = stall->sample.count ? BETTER_NS : FIRST_NS;
		if (now_ns < stall->started_ns + stall->length_ns + patience_ns)
			return true;
	}
	return false;
}

/* For qsort(): the longest total first; among equals the first that was seen. */
static int
compare(const void *a, const void *b)
{
	const struct worst_entry *left = a, *right = b;

	if (left->total_ns != right->total_ns)
		return left->total_ns < right->total_ns ? 1 : -1;
	return left->longest.id < right->longest.id ? -1 : 1;
}

void
worst_finish(struct worst *worst)
{
	add_oldest(worst, worst->waiting_count);
	for (size_t i = 0; i < stalls_count(worst->stalls); i++)
		if (stalls_at(worst->stalls, i)->open)
			add(worst, stalls_at(worst->stalls, i));
	qsort(worst->entries, worst->count, sizeof *worst->entries, compare);
}

size_t
worst_count(const struct worst *worst)
{
	return worst->count;
}

const struct worst_entry *
worst_at(const struct worst *worst, size_t index)
{
	return &worst->entries[index];
}

uint64_t
worst_left_out(const struct worst *worst)
{
	return worst->left_out;
}

enum stall_cause
worst_cause(const struct worst_entry *entry)
{
	enum stall_cause most = STALL_UNKNOWN;

	for (enum stall_cause cause = STALL_CPU; cause < STALL_CAUSES; cause++)
		if (entry->cause_ns[cause] > entry->cause_ns[most])
			most = cause;
	return most;
}
