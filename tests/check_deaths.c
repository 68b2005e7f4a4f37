/* SPDX-License-Identifier: MIT */
/* A thread dies after any of its steps: what it leaves can be read, and taken by the next one,
 * which the living never lose anything to. */

#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "tests/explore/cast.h"
#include "tests/explore/reading.h"

#define CUSTOM SEGMENT_KIND_CUSTOM

static bool has_died;
static uint64_t ended; /* iterations that the mortal thread had ended */
static struct loop *taken[EXPLORE_THREADS];

static struct explore_scenario usual;

static void
begin(void)
{
	usual.begin();
	ended = 0;
	has_died = false;
	memset(taken, 0, sizeof(taken));
}

static void
died(unsigned thread)
{
	usual.died(thread);
	has_died = true;
}

static struct explore_scenario
deaths(void)
{
	struct explore_scenario scenario = cast_scene();

	usual = scenario;
	scenario.begin = begin;
	scenario.died = died;
	scenario.mortal = 1;
	return scenario;
}

static struct loop *
make_loop(uint64_t born_ns)
{
	int self = explore_self();
	struct loops_thread *thread = self < 0 ? &cast.maker : &cast.threads[self];

	return loops_make(thread, CUSTOM, 0, born_ns, born_ns + 500, NULL);
}

/* All slots but one have loops of a thread that lives on. */
static void
leave_one_slot(void)
{
	cast_set_up();
	for (unsigned i = 1; i < CAST_SLOTS; i++)
		ck_assert_ptr_nonnull(make_loop(500));
	reading_set_up(&cast.segment.slots[CAST_SLOTS - 1]);
}

static void
live_and_die(void)
{
	int self = explore_self();

	taken[self] = make_loop(1000);
	if (!taken[self])
		return;
	for (unsigned i = 1; i <= 2; i++) {
		(void)loop_attend(taken[self], &cast.threads[self], 1000 + 5000 * i);
		ended = i;
		loop_unattend(taken[self], 3000 + 5000 * i, 1);
	}
}

static void
take_over(void)
{
	int self = explore_self();

	taken[self] = make_loop(20000);
	if (!taken[self])
		return;
	(void)loop_attend(taken[self], &cast.threads[self], 30000);
	loop_unattend(taken[self], 35000, 1);
}

static void
read_it(void)
{
	const struct segment_slot *slot;
	enum reader_result result;
	uint64_t total;

	result = reading_read(1, 3, &slot);
	if (result != READER_WHOLE && result != READER_TORN && result != READER_SAME)
		explore_fail("what is left cannot be read");
	/* The iteration that it was writing when it died may be half there. */
	total = histogram_total(&slot->iteration);
	if (slot->iterations < ended || slot->iterations > ended + 2 ||
		slot->iterations < total || slot->iterations > total + 1)
		explore_fail("%llu ended, and there are %llu, %llu in buckets",
			(unsigned long long)ended, (unsigned long long)slot->iterations,
			(unsigned long long)total);
}

/* The slot was free for the next one, unless its thread lives, or died as it took it. */
static void
check_taken(void)
{
	uint64_t state = cast.segment.slots[CAST_SLOTS - 1].state;

	if (!has_died && taken[1])
		explore_fail("a living thread has lost its slot");
	if (has_died && !taken[1] && state != (SEGMENT_ATTENDED | SEGMENT_RECORDING))
		explore_fail("what is left cannot be taken");
}

START_TEST(what_a_dead_thread_leaves_can_be_read_and_taken)
{
	struct explore_scenario scenario = deaths();

	leave_one_slot();
	scenario.count = 3;
	scenario.threads[0] = live_and_die;
	scenario.threads[1] = take_over;
	scenario.threads[2] = read_it;
	scenario.after[1] = 1;
	scenario.after[2] = 3;
	scenario.end = check_taken;
	cast_expect_sound(&scenario);
}
END_TEST

static Suite *
deaths_suite(void)
{
	Suite *suite = suite_create("deaths");
	TCase *slots = tcase_create("slots");

	tcase_set_timeout(slots, 300);
	tcase_add_test(slots, what_a_dead_thread_leaves_can_be_read_and_taken);
	suite_add_tcase(suite, slots);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(deaths_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
