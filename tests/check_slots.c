/* SPDX-License-Identifier: MIT */
/* probes/slots.c: whose a slot is, and what becomes of it when its thread is gone. */

#include "config.h"

#include "probes/slots.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <check.h>

#include "tests/scene.h"

#define SLOTS SEGMENT_SLOTS_DEFAULT
#define EPOLL SEGMENT_KIND_EPOLL
#define NOW_NS 3000 /* as soon as the loop before */
#define WRITING (SEGMENT_ATTENDED | SEGMENT_RECORDING | 1)
#define WRITING_UNTIL \
	(SEGMENT_ATTENDED | SEGMENT_UNTIL | 1000000ull << SEGMENT_UNTIL_SHIFT | 1)

static struct segment segment;

/* What threads and children that end did; shared with the children. */
static struct {
	int record;
	pid_t tid;
	uint32_t kind;
	struct segment_slot *slot;
} * last;

static void
set_up(void)
{
	segment = scene_segment(SLOTS);
	/* The capture area of a segment is left alone by slots.c. */
	last = (void *)((char *)segment.header + segment.header->capture_offset);
	last->kind = EPOLL;
}

static void
claim_thread(void *arg)
{
	last->record = slots_claim_thread(&segment);
	last->tid = gettid();
}

/* Claim a record and a slot in it, and leave the slot in the state that arg points to. */
static void
claim_slot(void *arg)
{
	claim_thread(NULL);
	last->slot = slots_claim(&segment, (uint32_t)last->record, last->kind, NOW_NS);
	if (!last->slot)
		return;
	last->slot->thread = (uint32_t)last->record;
	last->slot->kind = last->kind;
	last->slot->life++;
	last->slot->born_ns = last->slot->last_ns = 1000;
	last->slot->ended_ns = 0;
	slots_record(last->slot, 1000, 1500, 0);
	last->slot->state = *(uint64_t *)arg;
}

static uint32_t
lock_word(int record)
{
	return segment.threads[record].lock[segment.header->owner_word];
}

static uint64_t
sum_of_iterations(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < SLOTS; i++)
		sum += segment.slots[i].iterations;
	return sum;
}

/* Slots that a reader takes for a loop of a thread that lives. */
static unsigned
live_loops(void)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < SLOTS; i++)
		count += segment.slots[i].state &&
			 !(lock_word((int)segment.slots[i].thread) & SEGMENT_OWNER_DIED);
	return count;
}

/* A thread may end in its wait, between two of them, or killed while it writes. */
static const uint64_t last_states[] = {
	SEGMENT_ATTENDED | 1, 2000, WRITING, WRITING_UNTIL};

START_TEST(a_segment_is_laid_out_as_its_header_says)
{
	const struct segment_header *header = segment.header;
	char *bytes = (char *)header;

	ck_assert_uint_eq(header->magic, SEGMENT_MAGIC);
	ck_assert_uint_eq(header->size, segment_size(SLOTS));
	ck_assert_uint_le(header->size, 1 << 20);
	ck_assert_ptr_eq(segment.threads, bytes + header->threads_offset);
	ck_assert_ptr_eq(segment.slots, bytes + header->slots_offset);
	ck_assert_uint_eq(header->threads_offset, SEGMENT_PAGE);
	ck_assert_uint_le(header->threads_offset + SLOTS * sizeof(struct segment_thread),
		header->slots_offset);
	ck_assert_uint_eq(header->slots_offset + SLOTS * sizeof(struct segment_slot),
		header->capture_offset);
	ck_assert_uint_eq(header->capture_offset + SEGMENT_CAPTURE_BYTES, header->size);
}
END_TEST

START_TEST(a_record_holds_the_tid_and_tells_that_its_thread_is_gone)
{
	int own = slots_claim_thread(&segment);

	ck_assert_int_eq(own, 0);
	ck_assert_uint_eq(lock_word(own) & SEGMENT_TID_MASK, (uint32_t)gettid());
	ck_assert_uint_eq(segment.threads[own].tid, (uint32_t)gettid());
	scene_in_thread(claim_thread, NULL);
	ck_assert_int_eq(last->record, 1);
	ck_assert(lock_word(1) & SEGMENT_OWNER_DIED);
	scene_in_child(claim_thread, NULL);
	ck_assert_int_eq(last->record, 2);
	ck_assert(lock_word(2) & SEGMENT_OWNER_DIED);
	ck_assert_uint_eq(segment.threads[2].tid, (uint32_t)last->tid);
	ck_assert(!(lock_word(own) & SEGMENT_OWNER_DIED));
}
END_TEST

START_TEST(records_of_threads_that_are_gone_are_used_when_no_other_is_left)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		scene_in_thread(claim_thread, NULL);
		ck_assert_int_eq(last->record, (int)i);
	}
	ck_assert_int_eq(slots_claim_thread(&segment), 0);
	ck_assert_uint_eq(segment.threads[0].generation, 2);
	ck_assert_uint_eq(lock_word(0) & SEGMENT_TID_MASK, (uint32_t)gettid());
}
END_TEST

START_TEST(a_thread_may_find_no_record)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		scene_in_lasting_thread(claim_thread, NULL);
		ck_assert_int_eq(last->record, (int)i);
	}
	ck_assert_int_eq(slots_claim_thread(&segment), -1);
}
END_TEST

START_TEST(a_thread_that_libc_takes_for_another_one_gets_no_record)
{
	/* As a child made by a raw clone system call, which has its parent's tid. */
	ck_assert_int_eq(slots_claim_thread(&segment), 0);
	ck_assert_int_eq(slots_claim_thread(&segment), -1);
	scene_in_thread(claim_thread, NULL);
	ck_assert_int_eq(last->record, 2);
	ck_assert_int_eq(slots_claim_thread(&segment), -1);
	ck_assert_uint_eq(live_loops(), 0);
}
END_TEST

START_TEST(a_claimed_slot_is_nobody_elses_until_it_has_another_state)
{
	uint64_t state = SEGMENT_ATTENDED | SEGMENT_RECORDING;
	struct segment_slot *slot;

	/* Its thread field still is the last owner's, which may be dead. */
	scene_in_thread(claim_slot, &state);
	slot = last->slot;
	ck_assert_ptr_eq(slot, segment.slots);
	ck_assert_uint_eq(segment.header->slots_used, 1);
	for (uint32_t i = 0; i < 2 * SLOTS; i++) {
		scene_in_thread(claim_slot, (uint64_t *)last_states);
		ck_assert_ptr_ne(last->slot, slot);
	}
	ck_assert_uint_eq(slot->state, SEGMENT_ATTENDED | SEGMENT_RECORDING);
}
END_TEST

START_TEST(a_thread_gets_back_the_slot_that_its_last_loop_of_the_kind_has_left)
{
	uint64_t ended = 0;
	struct segment_slot *slot;

	claim_slot(&ended);
	last->slot->ended_ns = 1600;
	scene_in_thread(claim_slot, &ended);
	ck_assert_ptr_eq(last->slot, &segment.slots[1]);
	slot = slots_claim(&segment, 0, EPOLL, NOW_NS);
	ck_assert_ptr_eq(slot, &segment.slots[0]);
	ck_assert_uint_eq(slot->iterations, 1);
	ck_assert_uint_eq(slot->past_life_ns, 600);
	ck_assert_ptr_eq(
		slots_claim(&segment, 0, SEGMENT_KIND_POLL, NOW_NS), &segment.slots[2]);
}
END_TEST

START_TEST(a_slot_whose_loop_has_ended_some_time_ago_is_used_first)
{
	const uint64_t states[] = {0, SEGMENT_ATTENDED, 2000};
	/* The end of a loop that nobody has ended is that of its last wait. */
	const uint64_t ends_ns[] = {1600, 1500, 2000};
	uint64_t state = states[_i], end_ns = ends_ns[_i];

	scene_in_thread(claim_slot, &state);
	last->slot->ended_ns = state ? 0 : end_ns;
	ck_assert_ptr_eq(slots_claim(&segment, 1, EPOLL, end_ns - 1), &segment.slots[1]);
	ck_assert_ptr_eq(slots_claim(&segment, 1, EPOLL, end_ns + SLOTS_REST_NS - 1),
		&segment.slots[2]);
	ck_assert_ptr_eq(slots_claim(&segment, 1, EPOLL, end_ns + SLOTS_REST_NS),
		&segment.slots[0]);
	ck_assert_uint_eq(segment.slots[0].iterations, 1);
	ck_assert_uint_eq(segment.slots[0].past_life_ns, end_ns - 1000);
	ck_assert_ptr_eq(slots_claim(&segment, 1, EPOLL, end_ns + SLOTS_REST_NS),
		&segment.slots[3]);
}
END_TEST

START_TEST(a_loop_that_may_go_on_without_its_first_thread_keeps_its_slot)
{
	const uint64_t states[] = {SEGMENT_ATTENDED | 1, WRITING};
	uint64_t state = states[_i];

	scene_in_thread(claim_slot, &state);
	ck_assert_ptr_eq(
		slots_claim(&segment, 1, EPOLL, 3 * SLOTS_REST_NS), &segment.slots[1]);
}
END_TEST

START_TEST(a_loop_that_does_nothing_for_long_keeps_its_slot)
{
	uint64_t state = SEGMENT_ATTENDED | 1;

	claim_slot(&state);
	ck_assert_ptr_eq(
		slots_claim(&segment, 1, EPOLL, 3 * SLOTS_REST_NS), &segment.slots[1]);
}
END_TEST

START_TEST(slots_of_loops_that_ended_are_used_when_no_unused_one_is_left)
{
	uint64_t ended = 0;

	for (uint32_t i = 0; i < SLOTS; i++) {
		scene_in_thread(claim_slot, &ended);
		ck_assert_ptr_eq(last->slot, &segment.slots[i]);
	}
	claim_slot(&ended);
	ck_assert_uint_eq(sum_of_iterations(), SLOTS + 1);
	ck_assert_uint_eq(last->slot->past_life_ns, 500);
	ck_assert_uint_eq(segment.header->slots_used, SLOTS);
}
END_TEST

START_TEST(a_loop_may_find_no_slot)
{
	int record = slots_claim_thread(&segment);

	for (uint32_t i = 0; i < SLOTS; i++)
		slots_claim(&segment, (uint32_t)record, EPOLL, NOW_NS)->thread =
			(uint32_t)record;
	ck_assert_ptr_null(slots_claim(&segment, (uint32_t)record, EPOLL, NOW_NS));
}
END_TEST

START_TEST(loops_of_threads_that_are_gone_never_fill_the_segment)
{
	uint64_t state = last_states[_i];

	claim_slot(&state);
	for (unsigned i = 0; i < 5 * SLOTS; i++) {
		if (i % 2)
			scene_in_thread(claim_slot, &state);
		else
			scene_in_child(claim_slot, &state);
		ck_assert_msg(last->slot != NULL, "no slot for thread %u", i);
		ck_assert_uint_eq(live_loops(), 1);
	}
	ck_assert_uint_eq(sum_of_iterations(), 5 * SLOTS + 1);
}
END_TEST

START_TEST(a_slot_that_is_written_says_so_until_it_is_released)
{
	struct segment_slot *slot = slots_claim(&segment, 0, EPOLL, NOW_NS);
	uint64_t sequence = slot->sequence;

	slot->state = WRITING | WRITING_UNTIL;
	slots_release(slot);
	ck_assert_uint_eq(slot->state, SEGMENT_ATTENDED | 1);
	ck_assert_uint_gt(slot->sequence, sequence);
}
END_TEST

START_TEST(a_recorded_iteration_is_in_every_sum)
{
	int record = slots_claim_thread(&segment);
	struct segment_slot *slot =
		slots_claim(&segment, (uint32_t)record, EPOLL, NOW_NS);

	slots_record(slot, 1000, 4000, 0);
	slots_record(slot, 5000, 7000, 0);
	ck_assert_uint_eq(slot->iterations, 2);
	ck_assert_uint_eq(slot->active_ns, 5000);
	ck_assert_uint_eq(slot->max_ns, 3000);
	ck_assert_uint_eq(slot->last_ns, 7000);
	ck_assert_uint_eq(histogram_total(&slot->iteration), 2);
	ck_assert_uint_eq(slot->long_count, 0);
}
END_TEST

START_TEST(clock_readings_in_the_wrong_order_make_an_iteration_of_no_length)
{
	struct segment_slot *slot = slots_claim(&segment, 0, EPOLL, NOW_NS);

	slots_record(slot, 5000, 4990, 0);
	ck_assert_uint_eq(slot->iterations, 1);
	ck_assert_uint_eq(slot->active_ns, 0);
	ck_assert_uint_eq(slot->last_ns, 5000);
}
END_TEST

START_TEST(long_iterations_are_kept_the_last_ones_at_least)
{
	struct segment_slot *slot = slots_claim(&segment, 0, EPOLL, NOW_NS);
	const struct segment_long *entry;
	uint64_t long_ns = SEGMENT_LONG_NS;

	slots_record(slot, 100, 100 + long_ns - 1, 0);
	ck_assert_uint_eq(slot->long_count, 0);
	for (uint64_t i = 0; i < SEGMENT_RING + 3; i++)
		slots_record(slot, 1000 + i, 1000 + i + long_ns, i);
	ck_assert_uint_eq(slot->long_count, SEGMENT_RING + 3);
	entry = &slot->ring[(SEGMENT_RING + 2) % SEGMENT_RING];
	ck_assert_uint_eq(entry->start_ns, 1000 + SEGMENT_RING + 2);
	ck_assert_uint_eq(entry->length_ns, long_ns);
	ck_assert_uint_eq(entry->nested_ns, SEGMENT_RING + 2);
	ck_assert_uint_eq(entry->iteration, slot->iterations);
}
END_TEST

START_TEST(a_slot_is_adopted_when_its_thread_is_gone_and_only_then)
{
	uint64_t state = SEGMENT_ATTENDED | 1;
	struct segment_slot *slot;

	scene_in_thread(claim_slot, &state);
	slot = last->slot;
	claim_slot(&state);
	slots_adopt(&segment, last->slot, 0);
	ck_assert_uint_eq(last->slot->thread, 1);
	slots_adopt(&segment, slot, 1);
	ck_assert_uint_eq(slot->thread, 1);
}
END_TEST

static Suite *
slots_suite(void)
{
	Suite *suite = suite_create("slots");
	TCase *claims = tcase_create("claims"), *records = tcase_create("records");

	tcase_add_checked_fixture(claims, set_up, NULL);
	tcase_add_test(claims, a_segment_is_laid_out_as_its_header_says);
	tcase_add_test(claims, a_record_holds_the_tid_and_tells_that_its_thread_is_gone);
	tcase_add_test(
		claims, records_of_threads_that_are_gone_are_used_when_no_other_is_left);
	tcase_add_test(claims, a_thread_may_find_no_record);
	tcase_add_test(claims, a_thread_that_libc_takes_for_another_one_gets_no_record);
	tcase_add_test(claims, a_claimed_slot_is_nobody_elses_until_it_has_another_state);
	tcase_add_test(claims,
		a_thread_gets_back_the_slot_that_its_last_loop_of_the_kind_has_left);
	tcase_add_test(
		claims, slots_of_loops_that_ended_are_used_when_no_unused_one_is_left);
	tcase_add_test(claims, a_loop_may_find_no_slot);
	tcase_add_loop_test(
		claims, a_slot_whose_loop_has_ended_some_time_ago_is_used_first, 0, 3);
	tcase_add_loop_test(claims,
		a_loop_that_may_go_on_without_its_first_thread_keeps_its_slot, 0, 2);
	tcase_add_test(claims, a_loop_that_does_nothing_for_long_keeps_its_slot);
	tcase_add_loop_test(claims, loops_of_threads_that_are_gone_never_fill_the_segment,
		0, sizeof(last_states) / sizeof(*last_states));
	tcase_add_test(claims, a_slot_is_adopted_when_its_thread_is_gone_and_only_then);
	suite_add_tcase(suite, claims);
	tcase_add_checked_fixture(records, set_up, NULL);
	tcase_add_test(records, a_slot_that_is_written_says_so_until_it_is_released);
	tcase_add_test(records, a_recorded_iteration_is_in_every_sum);
	tcase_add_test(records,
		clock_readings_in_the_wrong_order_make_an_iteration_of_no_length);
	tcase_add_test(records, long_iterations_are_kept_the_last_ones_at_least);
	suite_add_tcase(suite, records);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(slots_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
