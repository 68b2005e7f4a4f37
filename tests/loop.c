/* SPDX-License-Identifier: MIT */
/* A loop for the tests of accounts; see loop.h. */

#include "config.h"

#include "tests/loop.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

struct segment_slot slot;
struct account account;
struct account_reading reading;
struct account_result result;
uint64_t now;

/* What all deltas together say, and what the last scrape has shown. */
static struct groups *groups;
static struct series *series;
static double exported[6];

void
loop_set_up(void)
{
	memset(&slot, 0, sizeof(slot));
	memset(&account, 0, sizeof(account));
	memset(exported, 0, sizeof(exported));
	now = LOOP_START;
	reading = (struct account_reading){.budget_ns = LOOP_START, .changed = true};
	groups = groups_new();
	series = group_series(groups_get(groups, "g"), "main");
}

void
loop_tear_down(void)
{
	groups_free(groups);
}

struct series_view
loop_view(void)
{
	return groups_series_view(groups, 0, 0);
}

/* A scrape's counters; none may go back. */
static void
scrape(void)
{
	static const double limits[] = {0.001, 0.1, 1};
	struct series_view v = loop_view();
	double values[6];

	series_delay_buckets(&v, v.total, limits, 3, values);
	values[3] = series_active_seconds(&v, v.total);
	values[4] = series_idle_seconds(&v, v.total);
	values[5] = series_half_squares(&v, v.total);
	for (int i = 0; i < 6; i++)
		ck_assert_msg(values[i] >= exported[i], "counter %d: %.17g after %.17g",
			i, values[i], exported[i]);
	memcpy(exported, values, sizeof(exported));
}

void
loop_look(void)
{
	if (!reading.died_ns && reading.now_ns != UINT64_MAX)
		reading.now_ns = now;
	if (reading.now_ns == UINT64_MAX)
		reading.now_ns = 0;
	reading.after_ns = now;
	account_update(&account, &slot, &reading, &result);
	groups_begin_reading(groups, now);
	series_add(series, &result.delta, now);
	if (result.alive)
		series_saw_loop(series, result.open_ns);
	scrape();
}

void
loop_begin(void)
{
	if (slot.born_ns)
		slot.past_life_ns +=
			(slot.ended_ns ? slot.ended_ns : slot.last_ns) - slot.born_ns;
	slot.life++;
	slot.born_ns = slot.last_ns = now;
	slot.ended_ns = 0;
	slot.state = SEGMENT_ATTENDED | 1;
	slot.sequence++;
}

void
loop_wake(void)
{
	slot.state = now;
	slot.events++;
	slot.shared_events += 2;
}

void
loop_wait(void)
{
	uint64_t length = now - slot.state;

	histogram_record(&slot.iteration, length);
	slot.iterations++;
	slot.active_ns += length;
	if (length > slot.max_ns)
		slot.max_ns = length;
	slot.last_ns = now;
	if (length >= SEGMENT_LONG_NS)
		slot.ring[slot.long_count++ % SEGMENT_RING] = (struct segment_long){
			.length_ns = length, .iteration = slot.iterations};
	slot.sequence++;
	slot.state = SEGMENT_ATTENDED | 1;
}

void
loop_iterate(uint64_t idle_ns, uint64_t busy_ns)
{
	now += idle_ns;
	loop_wake();
	now += busy_ns;
	loop_wait();
}

uint64_t
loop_random(unsigned *seed)
{
	return (uint64_t)rand_r(seed) << 42 ^ (uint64_t)rand_r(seed) << 21 ^
	       (uint64_t)rand_r(seed);
}
