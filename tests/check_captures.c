/* SPDX-License-Identifier: MIT */
/* When stacks are asked for, and what becomes of the answers. */

#include "config.h"

#include "daemon/captures.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <check.h>

#include "daemon/doorbell.h"
#include "daemon/event.h"
#include "daemon/stalls.h"
#include "tests/segment_writer.h"

#define MS 1000000ull
#define THRESHOLD (100 * MS)
#define SHIFT (-7 * (int64_t)MS)

static struct writer writer;
static struct segment_capture *records;
static struct event_loop *loop;
static struct doorbell *doorbell;
static const volatile struct segment_doorbell *page;
static struct stalls *stalls;
static struct captures *captures;
static struct captures_place place;
static uint64_t start_ns;
static char path[] = "captures-test-XXXXXX";

static void
set(bool stacks, unsigned per_minute)
{
	captures_set(captures, &(struct captures_settings){.stacks = stacks,
				       .per_minute = per_minute,
				       .threshold_ns = THRESHOLD});
}

/* A stall of the loop in slot 2, which began at start_ns as we count. */
static void
begin(void)
{
	const struct stall stall = {
		.groupname = "web", .loop = "main", .started_ns = start_ns};

	place = (struct captures_place){
		.stall = stalls_open(stalls, &stall, THRESHOLD),
		.length_ns = THRESHOLD,
		.groupname = stall.groupname,
		.segment = writer.fd,
		.header = writer.header,
		.slot = 2,
		.since_ns = start_ns + (uint64_t)SHIFT,
		.shift_ns = SHIFT,
		.pidfd = -1,
	};
}

static void
set_up(void)
{
	int fd;

	strcpy(path, "captures-test-XXXXXX");
	close(mkstemp(path));
	writer = writer_make();
	writer.commands = -1;
	writer.header->helper = SEGMENT_HELPER_AWAKE;
	records = (struct segment_capture *)((char *)writer.header +
					     writer.header->capture_offset);
	loop = event_loop_new();
	ck_assert_int_eq(doorbell_open(path, &doorbell), 0);
	fd = open(path, O_RDONLY);
	page = mmap(NULL, SEGMENT_PAGE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	stalls = stalls_new();
	captures = captures_new(loop, doorbell, stalls, NULL);
	ck_assert_ptr_nonnull(captures);
	set(true, 100);
	start_ns = event_now_ns();
	begin();
}

static void
tear_down(void)
{
	captures_free(captures);
	stalls_free(stalls);
	doorbell_close(doorbell);
	munmap((void *)page, SEGMENT_PAGE);
	event_loop_free(loop);
	writer_free(&writer);
	unlink(path);
}

/* How often the target's bell has been rung. */
static uint32_t
rings(void)
{
	return page->bells[writer.header->id[0]];
}

static void
look_at(uint64_t length_ns, bool ended)
{
	place.length_ns = length_ns;
	captures_look(captures, &place, ended, start_ns + length_ns);
}

static void
look(uint64_t length_ns)
{
	look_at(length_ns, false);
}

static const struct stall *
stall(void)
{
	return stalls_find(stalls, place.stall);
}

static void
stop(void *arg)
{
	event_loop_stop(loop);
}

/* Run the event loop until the stall has so many stacks. */
static void
run_until_samples(unsigned samples)
{
	for (int i = 0; stall()->samples < samples; i++) {
		struct event_watch *watch = event_after(loop, 5 * MS, stop, NULL);

		ck_assert_int_lt(i, 4000);
		ck_assert_int_eq(event_loop_run(loop), 0);
		event_watch_free(watch);
	}
	ck_assert_uint_eq(stall()->samples, samples);
}

static void
run_for(uint64_t ns)
{
	struct event_watch *watch = event_after(loop, ns, stop, NULL);

	ck_assert_int_eq(event_loop_run(loop), 0);
	event_watch_free(watch);
}

/* Run the event loop until the stall says why it has no stack. */
static void
run_until_missing(void)
{
	for (int i = 0; !stall()->sample.missing; i++) {
		ck_assert_int_lt(i, 4000);
		run_for(5 * MS);
	}
}

/* A helper's record of the stall, with one native frame in no module. */
static struct segment_capture *
answer(unsigned index, uint32_t role)
{
	struct segment_capture *record = &records[index];

	record->sequence |= 1;
	record->since_ns = place.since_ns;
	record->slot = place.slot;
	record->taken_ns = place.since_ns + THRESHOLD;
	record->role = role;
	record->result = SEGMENT_RESULT_TAKEN;
	record->flags = 0;
	record->python_bytes = 0;
	record->js_state = SEGMENT_JS_NONE;
	record->sequence++;
	return record;
}

static void
add_python(struct segment_capture *record, const char *function)
{
	record->python_bytes = (uint32_t)snprintf(record->python, sizeof(record->python),
		"  File \"/srv/a.py\", line 7 in %s\n", function);
}

static void
add_js(struct segment_capture *record, const char *function, uint64_t taken_ns)
{
	record->js_bytes = (uint32_t)snprintf(
		record->js, sizeof(record->js), "%s (/srv/a.js:3:1)\n", function);
	record->js_taken_ns = taken_ns;
	__atomic_store_n(&record->js_state, SEGMENT_JS_TAKEN, __ATOMIC_RELEASE);
}

START_TEST(the_bell_rings_at_the_threshold_and_whenever_the_length_has_doubled)
{
	look(THRESHOLD - 1);
	ck_assert_uint_eq(rings(), 0);
	look(THRESHOLD);
	ck_assert_uint_eq(rings(), 1);
	look(THRESHOLD + 25 * MS);
	look(2 * THRESHOLD - 1);
	ck_assert_uint_eq(rings(), 1);
	look(2 * THRESHOLD);
	ck_assert_uint_eq(rings(), 2);
	look(4 * THRESHOLD);
	ck_assert_uint_eq(rings(), 3);
	/* A look that comes late makes up for nothing. */
	look(40 * THRESHOLD);
	look(41 * THRESHOLD);
	ck_assert_uint_eq(rings(), 4);
}
END_TEST

START_TEST(a_group_has_so_many_captures_a_minute_and_no_more)
{
	set(true, 2);
	for (unsigned i = 0; i < 5; i++) {
		begin();
		look(THRESHOLD);
	}
	ck_assert_uint_eq(rings(), 2);
	ck_assert_uint_eq(captures_count(captures, CAPTURES_LIMITED), 3);
	ck_assert_ptr_nonnull(strstr(stall()->sample.missing, "minute"));
	/* Another group has its own share; the next minute is another one. */
	begin();
	place.groupname = "db";
	look(THRESHOLD);
	ck_assert_uint_eq(rings(), 3);
	begin();
	place.length_ns = THRESHOLD;
	captures_look(captures, &place, false, start_ns + 61000 * MS);
	ck_assert_uint_eq(rings(), 4);
}
END_TEST

START_TEST(half_of_them_are_for_stalls_that_have_had_none)
{
	set(true, 4);
	for (unsigned i = 0; i < 6; i++)
		look(THRESHOLD << i);
	ck_assert_uint_eq(rings(), 2);
	for (unsigned i = 0; i < 3; i++) {
		begin();
		look(THRESHOLD);
	}
	ck_assert_uint_eq(rings(), 4);
	ck_assert_uint_eq(captures_count(captures, CAPTURES_LIMITED), 4 + 1);
}
END_TEST

START_TEST(switched_off_there_or_here_nothing_rings)
{
	ck_assert_uint_eq(page->stall_us, THRESHOLD / 1000);
	writer.header->helper = SEGMENT_HELPER_REFUSED;
	look(THRESHOLD);
	look(2 * THRESHOLD);
	ck_assert_ptr_nonnull(strstr(stall()->sample.missing, "LOOPLAG_STACKS=0"));
	set(false, 100);
	ck_assert_uint_eq(page->stall_us, 0);
	begin();
	writer.header->helper = SEGMENT_HELPER_AWAKE;
	look(THRESHOLD);
	ck_assert_ptr_nonnull(stall()->sample.missing);
	ck_assert_uint_eq(captures_count(captures, CAPTURES_OFF), 2);
	ck_assert_uint_eq(rings(), 0);
}
END_TEST

START_TEST(a_record_becomes_a_sample_once)
{
	look(THRESHOLD);
	add_python(answer(3, SEGMENT_ROLE_LOOP), "guilty");
	look(THRESHOLD + 25 * MS);
	look(THRESHOLD + 50 * MS);
	run_until_samples(1);
	run_for(20 * MS);
	ck_assert_uint_eq(stall()->samples, 1);
	ck_assert_uint_eq(stall()->sample.count, 1);
	ck_assert_str_eq(stall()->sample.frames[0].function, "guilty");
	ck_assert_uint_eq(stall()->sample.frames[0].line, 7);
	ck_assert_ptr_null(stall()->sample.missing);
	ck_assert_uint_eq(stall()->sample.taken_ns, start_ns + THRESHOLD);
	ck_assert_uint_eq(captures_count(captures, CAPTURES_TAKEN), 1);
	add_python(answer(3, SEGMENT_ROLE_LOOP), "guilty");
	look(2 * THRESHOLD);
	run_until_samples(2);
}
END_TEST

START_TEST(records_of_other_loops_and_other_stalls_are_not_ours)
{
	look(THRESHOLD);
	add_python(answer(0, SEGMENT_ROLE_LOOP), "f");
	records[0].slot++;
	add_python(answer(1, SEGMENT_ROLE_LOOP), "f");
	records[1].since_ns--;
	look(THRESHOLD + 25 * MS);
	run_for(20 * MS);
	ck_assert_uint_eq(stall()->samples, 0);
}
END_TEST

START_TEST(a_loop_that_waits_for_the_lock_shows_who_holds_it)
{
	struct segment_capture *record;

	look(THRESHOLD);
	record = answer(0, SEGMENT_ROLE_LOOP);
	add_python(record, "victim");
	record->flags = SEGMENT_CAPTURE_WAITS_GIL;
	look(THRESHOLD + 25 * MS);
	run_for(20 * MS);
	ck_assert_uint_eq(stall()->samples, 0);
	add_python(answer(1, SEGMENT_ROLE_HOLDER), "guilty");
	look(THRESHOLD + 50 * MS);
	run_until_samples(1);
	ck_assert_str_eq(stall()->sample.frames[0].function, "guilty");
	ck_assert(stall()->sample.waits_gil);
	look(THRESHOLD + 75 * MS);
	run_for(20 * MS);
	ck_assert_uint_eq(stall()->samples, 1);
}
END_TEST

START_TEST(a_holder_that_is_not_found_is_not_waited_for_long)
{
	struct segment_capture *record;

	look(THRESHOLD);
	record = answer(0, SEGMENT_ROLE_LOOP);
	add_python(record, "victim");
	record->flags = SEGMENT_CAPTURE_WAITS_GIL;
	look(THRESHOLD + 10 * MS);
	look(THRESHOLD + 90 * MS);
	run_until_samples(1);
	ck_assert_str_eq(stall()->sample.frames[0].function, "victim");
	ck_assert(stall()->sample.waits_gil);
}
END_TEST

START_TEST(javascript_that_comes_at_once_is_part_of_the_sample)
{
	struct segment_capture *record;

	look(THRESHOLD);
	record = answer(0, SEGMENT_ROLE_LOOP);
	record->js_state = SEGMENT_JS_ASKED;
	look(THRESHOLD + 10 * MS);
	run_for(20 * MS);
	ck_assert_uint_eq(stall()->samples, 0);
	add_js(record, "guilty", record->taken_ns + MS);
	look(THRESHOLD + 20 * MS);
	run_until_samples(1);
	ck_assert_str_eq(stall()->sample.frames[0].function, "guilty");
	ck_assert(!stall()->sample.late);
	ck_assert_uint_eq(captures_count(captures, CAPTURES_TAKEN), 1);
}
END_TEST

START_TEST(javascript_that_comes_when_the_stall_has_ended_is_late)
{
	struct segment_capture *record;

	look(THRESHOLD);
	record = answer(0, SEGMENT_ROLE_LOOP);
	record->js_state = SEGMENT_JS_ASKED;
	look(THRESHOLD + 10 * MS);
	/* What is known by now is shown. */
	look(THRESHOLD + 80 * MS);
	run_until_missing();
	ck_assert_uint_eq(captures_count(captures, CAPTURES_TAKEN), 0);
	add_js(record, "guilty", place.since_ns + 5 * THRESHOLD - 1);
	look_at(5 * THRESHOLD, true);
	stalls_end(stalls, place.stall, 5 * THRESHOLD, &(struct stalls_cause){0});
	run_until_samples(1);
	ck_assert_str_eq(stall()->sample.frames[0].function, "guilty");
	ck_assert(stall()->sample.late);
	ck_assert_uint_eq(captures_count(captures, CAPTURES_LATE), 1);
}
END_TEST

START_TEST(javascript_of_the_next_iteration_is_not_ours)
{
	struct segment_capture *record;

	look(THRESHOLD);
	record = answer(0, SEGMENT_ROLE_LOOP);
	record->js_state = SEGMENT_JS_ASKED;
	add_js(record, "innocent", place.since_ns + 2 * THRESHOLD + 1);
	look_at(2 * THRESHOLD, true);
	run_until_missing();
	ck_assert_uint_eq(stall()->sample.count, 0);
	ck_assert_uint_eq(captures_count(captures, CAPTURES_LATE), 0);
}
END_TEST

START_TEST(an_answer_is_waited_for_a_little_beyond_the_end)
{
	look(THRESHOLD);
	look_at(THRESHOLD + MS, true);
	stalls_end(stalls, place.stall, THRESHOLD + MS, &(struct stalls_cause){0});
	add_python(answer(7, SEGMENT_ROLE_LOOP), "guilty");
	run_until_samples(1);
	/* And not longer. */
	start_ns += MS;
	begin();
	look(THRESHOLD);
	look_at(THRESHOLD + MS, true);
	for (int i = 0; !captures_count(captures, CAPTURES_OVER); i++) {
		ck_assert_int_lt(i, 4000);
		run_for(5 * MS);
	}
	ck_assert_ptr_nonnull(strstr(stall()->sample.missing, "over before"));
}
END_TEST

START_TEST(why_there_is_no_stack_stands_in_the_stall)
{
	static const struct {
		enum segment_result result;
		enum captures_result counted;
		const char *words;
	} cases[] = {
		{SEGMENT_RESULT_HANDLER, CAPTURES_HANDLER, "SIGURG handler"},
		{SEGMENT_RESULT_BLOCKED, CAPTURES_HANDLER, "blocks SIGURG"},
		{SEGMENT_RESULT_SILENT, CAPTURES_SILENT, "signal in time"},
		{SEGMENT_RESULT_SANDBOX, CAPTURES_REFUSED, "system call filter"},
		{SEGMENT_RESULT_FAILED, CAPTURES_FAILED, "could not"},
		{SEGMENT_RESULT_OVER, CAPTURES_OVER, "over before"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t before = captures_count(captures, cases[i].counted);

		start_ns += MS;
		begin();
		look(THRESHOLD);
		answer(0, SEGMENT_ROLE_LOOP)->result = cases[i].result;
		look(THRESHOLD + 25 * MS);
		ck_assert_uint_eq(captures_count(captures, cases[i].counted), before + 1);
		ck_assert_ptr_nonnull(strstr(stall()->sample.missing, cases[i].words));
	}
}
END_TEST

START_TEST(a_helper_that_does_not_answer_is_given_up)
{
	look(THRESHOLD);
	look(THRESHOLD + 1900 * MS);
	ck_assert_uint_eq(captures_count(captures, CAPTURES_SILENT), 0);
	look(THRESHOLD + 2100 * MS);
	ck_assert_uint_eq(captures_count(captures, CAPTURES_SILENT), 1);
	ck_assert_ptr_nonnull(strstr(stall()->sample.missing, "answer"));
}
END_TEST

START_TEST(without_a_helper_a_process_that_is_gone_is_not_traced)
{
	writer.header->helper = SEGMENT_HELPER_NONE;
	look(THRESHOLD);
	ck_assert_uint_eq(rings(), 0);
	ck_assert_uint_eq(captures_count(captures, CAPTURES_OVER), 1);
	ck_assert_ptr_nonnull(strstr(stall()->sample.missing, "over before"));
}
END_TEST

START_TEST(more_stalls_than_there_is_room_for_do_no_harm)
{
	set(true, 2000);
	for (unsigned i = 0; i < 1000; i++) {
		begin();
		look(THRESHOLD);
		look(THRESHOLD);
	}
	/* Each counts once. */
	ck_assert_uint_eq(captures_count(captures, CAPTURES_LIMITED), 1000 - 256);
	ck_assert_ptr_nonnull(strstr(stall()->sample.missing, "too many"));
	for (unsigned i = 0; i < 1000; i++) {
		place.stall = i + 1;
		look_at(2 * THRESHOLD, true);
	}
	run_for(300 * MS);
	begin();
	look(THRESHOLD);
	add_python(answer(0, SEGMENT_ROLE_LOOP), "f");
	look(THRESHOLD + MS);
	run_until_samples(1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("captures");
	TCase *tcase = tcase_create("captures");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase,
		the_bell_rings_at_the_threshold_and_whenever_the_length_has_doubled);
	tcase_add_test(tcase, a_group_has_so_many_captures_a_minute_and_no_more);
	tcase_add_test(tcase, half_of_them_are_for_stalls_that_have_had_none);
	tcase_add_test(tcase, switched_off_there_or_here_nothing_rings);
	tcase_add_test(tcase, a_record_becomes_a_sample_once);
	tcase_add_test(tcase, records_of_other_loops_and_other_stalls_are_not_ours);
	tcase_add_test(tcase, a_loop_that_waits_for_the_lock_shows_who_holds_it);
	tcase_add_test(tcase, a_holder_that_is_not_found_is_not_waited_for_long);
	tcase_add_test(tcase, javascript_that_comes_at_once_is_part_of_the_sample);
	tcase_add_test(tcase, javascript_that_comes_when_the_stall_has_ended_is_late);
	tcase_add_test(tcase, javascript_of_the_next_iteration_is_not_ours);
	tcase_add_test(tcase, an_answer_is_waited_for_a_little_beyond_the_end);
	tcase_add_test(tcase, why_there_is_no_stack_stands_in_the_stall);
	tcase_add_test(tcase, a_helper_that_does_not_answer_is_given_up);
	tcase_add_test(tcase, without_a_helper_a_process_that_is_gone_is_not_traced);
	tcase_add_test(tcase, more_stalls_than_there_is_room_for_do_no_harm);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
