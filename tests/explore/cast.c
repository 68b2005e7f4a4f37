/* SPDX-License-Identifier: MIT */
/* See cast.h. */

#include "config.h"

#include "tests/explore/cast.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/explore/mutex.h"

#define NOBODY (-1)
#define FIELD(name)                                        \
	{                                                  \
		offsetof(struct segment_slot, name), #name \
	}

struct cast cast;

/* Of the execution under way. */
static struct {
	int writers[2 * CAST_SLOTS];     /* of each slot */
	uint64_t states[2 * CAST_SLOTS]; /* before the last step */
	unsigned dead, waiting;          /* threads, as bits */
	/* What the thread is about to do in the watched loop. */
	struct {
		enum { ELSEWHERE, ATTENDING, LEAVING } act;
		uint64_t now_ns;
	} threads[EXPLORE_THREADS];
} now;

static const struct {
	size_t offset;
	const char *name;
} fields[] = {FIELD(state), FIELD(sequence), FIELD(iterations), FIELD(active_ns),
	FIELD(last_ns), FIELD(events), FIELD(shared_events), FIELD(other_waits),
	FIELD(kind), FIELD(life), FIELD(max_ns), FIELD(thread), FIELD(descriptor),
	FIELD(born_ns), FIELD(ended_ns), FIELD(past_life_ns), FIELD(long_count),
	FIELD(nested_wait_ns), FIELD(label), FIELD(nested_since_ns), FIELD(ring),
	FIELD(iteration), FIELD(wakeup), FIELD(padding)};

/* The slot with that number, of both segments. */
static struct segment_slot *
slot_numbered(unsigned number)
{
	return number < CAST_SLOTS ? &cast.segment.slots[number]
				   : &cast.second.slots[number - CAST_SLOTS];
}

/* The number of the slot in which the address lies, or -1. */
static int
slot_at(const void *address)
{
	const char *at = address;

	for (unsigned i = 0; i < 2 * CAST_SLOTS; i++) {
		const char *slot = (const char *)slot_numbered(i);

		if (at >= slot && at < slot + sizeof(struct segment_slot))
			return (int)i;
	}
	return -1;
}

/* The field of that slot, by its place in `fields`. */
static unsigned
field_at(int slot, const void *address)
{
	size_t offset = (size_t)((const char *)address -
				 (const char *)slot_numbered((unsigned)slot));
	unsigned i = sizeof(fields) / sizeof(*fields);

	while (fields[--i].offset > offset)
		;
	return i;
}

static const char *
name(const void *address)
{
	static char text[64];
	int slot = slot_at(address);

	if (slot < 0)
		return NULL;
	snprintf(text, sizeof(text), "slot %d %s", slot,
		fields[field_at(slot, address)].name);
	return text;
}

static struct segment
make_segment(void)
{
	void *memory = aligned_alloc(4096, segment_size(CAST_SLOTS));

	if (!memory)
		abort();
	memset(memory, 0, segment_size(CAST_SLOTS));
	return slots_format(memory, CAST_SLOTS, slots_setup(&mutex_calls, mutex_tid(-1)));
}

void
cast_set_up(void)
{
	cast.segment = make_segment();
	cast.second = make_segment();
	loops_start(&cast.segment, &cast.live);
}

void
cast_watch(struct loop *loop)
{
	cast.loop = loop;
	cast.slot = loop_slot(loop);
}

static void
begin(void)
{
	cast.iterations = cast.slot ? cast.slot->iterations : 0;
	cast.active_ns = cast.slot ? cast.slot->active_ns : 0;
	cast.events = cast.slot ? cast.slot->events + cast.slot->shared_events : 0;
	memset(&now, 0, sizeof(now));
	memset(cast.threads, 0, sizeof(cast.threads));
	for (unsigned i = 0; i < 2 * CAST_SLOTS; i++) {
		now.writers[i] = NOBODY;
		now.states[i] = slot_numbered(i)->state;
	}
}

int
cast_attend(uint64_t now_ns)
{
	int self = explore_self(), counts;

	now.threads[self].act = ATTENDING;
	now.threads[self].now_ns = now_ns;
	counts = loop_attend(cast.loop, &cast.threads[self], now_ns);
	now.threads[self].act = ELSEWHERE;
	return counts;
}

void
cast_unattend(uint64_t now_ns)
{
	int self = explore_self();

	now.threads[self].act = LEAVING;
	now.threads[self].now_ns = now_ns;
	loop_unattend(cast.loop, now_ns, 1 + (uint64_t)self);
	cast.events += 1 + (uint64_t)self;
	now.threads[self].act = ELSEWHERE;
}

unsigned
cast_waiting(void)
{
	return (unsigned)__builtin_popcount(now.waiting);
}

static void
died(unsigned thread)
{
	now.dead |= 1u << thread;
	for (unsigned i = 0; i < CAST_SLOTS; i++)
		if (cast.segment.threads[i].lock[0] == mutex_tid((int)thread))
			explore_poke(cast.segment.threads[i].lock, SEGMENT_OWNER_DIED);
}

/* The state of the watched loop has changed. */
static void
watch_state(unsigned thread, uint64_t before, uint64_t state, uint64_t sequence)
{
	uint64_t now_ns = now.threads[thread].now_ns;
	int was_attended = before & SEGMENT_ATTENDED ? 1 : 0;

	if (now.threads[thread].act == ATTENDING && !(now.waiting & 1u << thread)) {
		now.waiting |= 1u << thread;
		if (!was_attended && segment_is_written(state, sequence)) {
			cast.iterations++;
			cast.active_ns += now_ns > before ? now_ns - before : 0;
		}
	} else if (now.threads[thread].act == LEAVING) {
		now.waiting &= ~(1u << thread);
	}
	/* It is being moved, or has been. */
	if (!state || state == (SEGMENT_ATTENDED | SEGMENT_RECORDING))
		return;
	if (now.waiting ? (state & SEGMENT_WAITERS) != cast_waiting() ||
				  !(state & SEGMENT_ATTENDED)
			: state & SEGMENT_ATTENDED && state & SEGMENT_WAITERS)
		explore_fail("%u threads wait and the state is %#llx", cast_waiting(),
			(unsigned long long)state);
}

static void
wrote(unsigned thread, const void *address)
{
	static const char *const added[] = {"events", "shared_events", "other_waits",
		"nested_wait_ns", "nested_since_ns", "wakeup"};
	int i = slot_at(address);
	const char *field;
	const struct segment_slot *slot;
	int is_state, is_written;

	if (i < 0)
		return;
	field = fields[field_at(i, address)].name;
	for (unsigned j = 0; j < sizeof(added) / sizeof(*added); j++)
		if (strcmp(field, added[j]) == 0)
			return;
	is_state = strcmp(field, "state") == 0;
	if (!is_state && now.writers[i] != (int)thread)
		explore_fail("thread %u writes %s, which is thread %d's", thread,
			name(address), now.writers[i]);
	slot = slot_numbered((unsigned)i);
	is_written = segment_is_written(slot->state, slot->sequence);
	if (!is_state && !is_written)
		now.writers[i] = NOBODY;
	if (!is_state || slot->state == now.states[i])
		return;
	if (!is_written) {
		if (now.writers[i] != NOBODY && now.writers[i] != (int)thread &&
			!(now.dead & 1u << now.writers[i]))
			explore_fail("thread %u ends what thread %d is writing", thread,
				now.writers[i]);
		now.writers[i] = NOBODY;
	} else if (now.writers[i] == NOBODY || now.dead & 1u << now.writers[i]) {
		now.writers[i] = (int)thread;
	}
	if (cast.slot && i % CAST_SLOTS == slot_at(cast.slot))
		watch_state(thread, now.states[i], slot->state, slot->sequence);
	now.states[i] = slot->state;
}

struct explore_scenario
cast_scene(void)
{
	return (struct explore_scenario){
		.name = name, .begin = begin, .died = died, .wrote = wrote};
}

struct explore_result
cast_play(const struct explore_scenario *scenario)
{
	struct explore_result result = explore(scenario);

	printf("%llu states, %llu executions of up to %u steps, %u words\n",
		(unsigned long long)result.states, (unsigned long long)result.executions,
		result.steps, result.words);
	fflush(stdout);
	return result;
}

void
cast_expect_sound(const struct explore_scenario *scenario)
{
	struct explore_result result = cast_play(scenario);

	ck_assert_msg(!result.failure, "%s", result.failure);
}
