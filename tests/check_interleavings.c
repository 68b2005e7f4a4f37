/* SPDX-License-Identifier: MIT */
/* The writers and the reader of a slot in every order that their steps can take: see
 * explore.h for what is tried, and cast.h for what must hold at each step. */

#include "config.h"

#include <stdlib.h>

#include <check.h>

#include "tests/explore/cast.h"
#include "tests/explore/reading.h"

#define DESCRIPTOR 5
#define LONG SEGMENT_LONG_NS

static unsigned wholes, others; /* what the reader found, over all executions */

static void
set_up(void)
{
	cast_set_up();
	cast_watch(
		loops_make(&cast.maker, SEGMENT_KIND_EPOLL, DESCRIPTOR, 500, 1000, NULL));
	reading_set_up(cast.slot);
}

/* --- one writer, one reader --- */

static void (*moment)(void); /* to be called between updates */
static unsigned updates, tries;

/* So many updates: a long iteration, a short one, a long one. */
static void
write_slot(void)
{
	uint64_t now_ns = 1000;

	for (unsigned i = 0; i < updates; i++) {
		if (moment)
			moment();
		now_ns += i % 2 ? 5000 : (i + 1) * LONG;
		cast_attend(now_ns);
		cast_unattend(now_ns += 700);
	}
	if (moment)
		moment();
}

static void
keep_moments(void)
{
	struct explore_scenario alone = cast_scene();

	alone.count = 1;
	alone.threads[0] = write_slot;
	moment = reading_keep_moment;
	cast_expect_sound(&alone);
	moment = NULL;
	ck_assert_uint_eq(reading_moments(), updates + 1);
}

/* The state is one that there was between the update before and the next one. */
static void
check_state(const struct segment_slot *slot)
{
	if (slot->iterations == 0
			? slot->state != 1000
			: (slot->state & ~SEGMENT_UNTIL_MASK) != (SEGMENT_ATTENDED | 1) &&
				  slot->state != slot->last_ns + 700)
		explore_fail("%llu iterations and state %#llx are of different moments",
			(unsigned long long)slot->iterations,
			(unsigned long long)slot->state);
}

static void
read_slot(void)
{
	const struct segment_slot *slot;

	if (reading_read(0, tries, &slot) == READER_WHOLE) {
		wholes++;
		reading_check(slot);
		check_state(slot);
	} else {
		others++;
	}
}

static struct explore_scenario
writer_and_reader(unsigned update_count, unsigned try_count)
{
	struct explore_scenario scenario = cast_scene();

	updates = update_count;
	tries = try_count;
	keep_moments();
	scenario.count = 2;
	scenario.threads[0] = write_slot;
	scenario.threads[1] = read_slot;
	return scenario;
}

START_TEST(a_reader_never_takes_a_torn_set_for_a_whole_one)
{
	struct explore_scenario scenario = writer_and_reader(_i, 2);

	cast_expect_sound(&scenario);
	ck_assert_uint_gt(wholes, 0);
	ck_assert_uint_gt(others, 0);
}
END_TEST

START_TEST(nor_does_it_where_stores_become_visible_in_another_order)
{
	struct explore_scenario scenario = writer_and_reader(_i, 2);

	scenario.buffered = true;
	cast_expect_sound(&scenario);
}
END_TEST

START_TEST(a_reader_is_misled_if_nothing_is_released)
{
	struct explore_scenario scenario = writer_and_reader(1, 1);

	scenario.buffered = true;
	scenario.defect = EXPLORE_NO_RELEASE;
	ck_assert_ptr_nonnull(cast_play(&scenario).failure);
}
END_TEST

static Suite *
interleavings_suite(void)
{
	Suite *suite = suite_create("interleavings");
	TCase *slot = tcase_create("slot");

	tcase_add_checked_fixture(slot, set_up, NULL);
	tcase_set_timeout(slot, 300);
	tcase_add_loop_test(slot, a_reader_never_takes_a_torn_set_for_a_whole_one, 1, 4);
	tcase_add_loop_test(
		slot, nor_does_it_where_stores_become_visible_in_another_order, 1, 3);
	tcase_add_test(slot, a_reader_is_misled_if_nothing_is_released);
	suite_add_tcase(suite, slot);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(interleavings_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
