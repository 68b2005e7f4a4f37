/* SPDX-License-Identifier: MIT */
/* Windows: what was added in the last minute or so, and nothing older. */

#include "config.h"

#include "daemon/window.h"

#include <stdlib.h>
#include <string.h>

#include <check.h>

#define SECOND 1000000000ull

static struct window window;
static struct counters delta;

static void
set_up(void)
{
	memset(&window, 0, sizeof(window));
	memset(&delta, 0, sizeof(delta));
}

static void
tear_down(void)
{
	window_fini(&window);
}

/* One iteration of that length and a second of life, at that time. */
static void
add_at(uint64_t now_ns, uint64_t length_ns)
{
	memset(&delta, 0, sizeof(delta));
	delta.life_ns = SECOND;
	counters_record(&delta, length_ns);
	window_add(&window, &delta, now_ns);
}

START_TEST(the_sum_is_of_what_was_added)
{
	add_at(100 * SECOND, 5000);
	add_at(101 * SECOND, 7000);
	add_at(130 * SECOND, 9000);
	ck_assert_uint_eq(window.sum.iterations, 3);
	ck_assert_uint_eq(window.sum.active_ns, 21000);
	ck_assert_uint_eq(window.sum.life_ns, 3 * SECOND);
	ck_assert_uint_eq(window.sum.max_ns, 9000);
	ck_assert_uint_eq(histogram_total(&window.sum.iteration), 3);
}
END_TEST

START_TEST(what_is_older_than_a_minute_falls_out)
{
	add_at(100 * SECOND, 9000);
	add_at(130 * SECOND, 5000);
	window_advance(&window, 155 * SECOND);
	ck_assert_uint_eq(window.sum.iterations, 2);
	window_advance(&window, 160 * SECOND);
	ck_assert_uint_eq(window.sum.iterations, 1);
	ck_assert_uint_eq(window.sum.life_ns, SECOND);
	ck_assert_uint_eq(window.sum.max_ns, 5000);
	ck_assert_uint_eq(histogram_total(&window.sum.iteration), 1);
	window_advance(&window, 200 * SECOND);
	ck_assert_uint_eq(window.sum.iterations, 0);
	ck_assert_uint_eq(window.sum.life_ns, 0);
	ck_assert_uint_eq(window.sum.max_ns, 0);
}
END_TEST

START_TEST(a_long_pause_empties_it)
{
	for (unsigned i = 0; i < 60; i++)
		add_at((100 + i) * SECOND, 5000);
	window_advance(&window, 1000000 * SECOND);
	ck_assert_uint_eq(window.sum.iterations, 0);
	ck_assert_uint_eq(window.sum.life_ns, 0);
	ck_assert_ptr_null(window.counters);
}
END_TEST

START_TEST(a_loop_at_rest_takes_no_memory)
{
	delta.life_ns = SECOND;
	for (unsigned i = 0; i < 120; i++)
		window_add(&window, &delta, i * SECOND);
	ck_assert_ptr_null(window.counters);
	ck_assert_uint_eq(window.sum.life_ns, 60 * SECOND);
}
END_TEST

START_TEST(time_that_goes_back_changes_nothing)
{
	add_at(100 * SECOND, 5000);
	window_advance(&window, 10 * SECOND);
	add_at(20 * SECOND, 5000);
	ck_assert_uint_eq(window.sum.iterations, 2);
}
END_TEST

/* Whatever is added whenever: the sum is that of the slots that are in it. */
START_TEST(the_sum_is_always_that_of_the_last_twelve_slots)
{
	static struct {
		uint64_t period, length_ns;
	} added[3000];
	uint64_t now = 1000 * SECOND;
	unsigned seed = 1;

	for (unsigned n = 0; n < 3000; n++) {
		uint64_t length = 1000 + (uint64_t)rand_r(&seed) % 1000000000, active = 0;
		uint64_t longest = 0, count = 0;

		now += (uint64_t)rand_r(&seed) % (n % 100 ? 3 * SECOND : 40 * SECOND);
		add_at(now, length);
		added[n].period = now / WINDOW_SLOT_NS;
		added[n].length_ns = length;
		for (unsigned i = 0; i <= n; i++) {
			if (added[i].period + WINDOW_SLOTS <= now / WINDOW_SLOT_NS)
				continue;
			active += added[i].length_ns;
			count++;
			if (added[i].length_ns > longest)
				longest = added[i].length_ns;
		}
		ck_assert_uint_eq(window.sum.active_ns, active);
		ck_assert_uint_eq(window.sum.iterations, count);
		ck_assert_uint_eq(window.sum.life_ns, count * SECOND);
		ck_assert_uint_eq(window.sum.max_ns, longest);
		ck_assert_uint_eq(histogram_total(&window.sum.iteration), count);
	}
}
END_TEST

START_TEST(absurd_numbers_stay_without_effect_once_they_are_old)
{
	memset(&delta, 0xff, sizeof(delta));
	window_add(&window, &delta, 100 * SECOND);
	window_add(&window, &delta, 110 * SECOND);
	ck_assert_uint_eq(window.sum.active_ns, UINT64_MAX);
	window_advance(&window, 200 * SECOND);
	add_at(200 * SECOND, 5000);
	ck_assert_uint_eq(window.sum.iterations, 1);
	ck_assert_uint_eq(window.sum.active_ns, 5000);
	ck_assert_uint_eq(histogram_total(&window.sum.iteration), 1);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("windows");
	TCase *tcase = tcase_create("windows");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, the_sum_is_of_what_was_added);
	tcase_add_test(tcase, what_is_older_than_a_minute_falls_out);
	tcase_add_test(tcase, a_long_pause_empties_it);
	tcase_add_test(tcase, a_loop_at_rest_takes_no_memory);
	tcase_add_test(tcase, time_that_goes_back_changes_nothing);
	tcase_add_test(tcase, the_sum_is_always_that_of_the_last_twelve_slots);
	tcase_add_test(tcase, absurd_numbers_stay_without_effect_once_they_are_old);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
