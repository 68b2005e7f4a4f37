/* SPDX-License-Identifier: MIT */
/* A thread that waits as a test says; see waiter.h. */

#include "config.h"

#include "tests/waiter.h"

#include <stddef.h>

#include <check.h>

#include "probes/waits.h"
#include "tests/scene.h"

struct waiter waiter;

static int
tell_time(clockid_t clock, struct timespec *ret_time)
{
	void (*call)(void) = waiter.while_at_work;

	waiter.while_at_work = NULL;
	if (call)
		call();
	*ret_time = (struct timespec){(time_t)(waiter.now_ns / 1000000000u),
		(long)(waiter.now_ns % 1000000000u)};
	return clock == CLOCK_MONOTONIC ? 0 : -1;
}

static int
is_epoll(int descriptor)
{
	waiter.epoll_checks++;
	return descriptor != waiter.closed;
}

static void
on_first_loop(void)
{
	waiter.first_loops++;
}

static void
settle(void)
{
	waiter.settled++;
}

void
waiter_set_up(void)
{
	static const struct waits_calls calls = {
		tell_time, is_epoll, on_first_loop, settle};

	waiter.segment = scene_segment(SEGMENT_SLOTS_DEFAULT);
	waiter.now_ns = 1000 * MS;
	waiter.closed = -1;
	waits_start(&calls);
	loops_start(&waiter.segment, &waiter.live);
}

void
waiter_wait(
	uint32_t kind, intptr_t key, unsigned descriptors, int result, uintptr_t frame)
{
	struct wait wait;

	waiter.now_ns += MS;
	waits_enter(&wait, kind, key, descriptors, -1, frame);
	waiter.now_ns += MS;
	waits_leave(&wait, result);
}

void
waiter_epoll(int descriptor)
{
	waiter_wait(EPOLL, descriptor, 2, 1, FRAME);
}

void
waiter_make_loop(void)
{
	waiter_epoll(3);
	waiter_epoll(3);
	ck_assert_uint_eq(waiter_slot(0)->state, waiter.now_ns);
}

const struct segment_slot *
waiter_slot(unsigned index)
{
	return &waiter.segment.slots[index];
}

uint64_t
waiter_used(void)
{
	return waiter.segment.header->slots_used;
}
