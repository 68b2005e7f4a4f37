/* SPDX-License-Identifier: MIT */
/* Groups: names and limits, totals that only grow, and answers with open iterations. */

#include "config.h"

#include "daemon/groups.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "daemon/quota.h"

#define SECOND 1000000000ull
#define MS 1000000ull

static struct groups *groups;
static struct group *web;
static struct series *loop;

static void
set_up(void)
{
	groups = groups_new();
	ck_assert_ptr_nonnull(groups);
	web = groups_get(groups, "web");
	loop = group_series(web, "main");
	ck_assert_ptr_nonnull(loop);
}

static void
tear_down(void)
{
	groups_free(groups);
}

static struct series_view
view(void)
{
	return groups_series_view(groups, 0, 0);
}

static void
add(uint64_t life_ns, uint64_t length_ns, uint64_t now_ns)
{
	struct counters delta = {.life_ns = life_ns};

	if (length_ns)
		counters_record(&delta, length_ns);
	series_add(loop, &delta, now_ns);
}

START_TEST(a_group_comes_back_by_its_name)
{
	ck_assert_ptr_eq(groups_get(groups, "web"), web);
	ck_assert_ptr_ne(groups_get(groups, "Web"), web);
	ck_assert_ptr_eq(group_series(web, "main"), loop);
	ck_assert_ptr_ne(group_series(web, "worker"), loop);
	ck_assert_uint_eq(groups_count(groups), 2);
	ck_assert_str_eq(groups_view(groups, 0).groupname, "web");
	ck_assert_uint_eq(groups_view(groups, 0).series_count, 2);
	ck_assert_str_eq(groups_series_view(groups, 0, 1).loop, "worker");
}
END_TEST

START_TEST(the_first_runtime_told_stays)
{
	ck_assert_ptr_null(groups_view(groups, 0).runtime);
	group_set_runtime(web, NULL);
	group_set_runtime(web, "node");
	group_set_runtime(web, "python");
	ck_assert_str_eq(groups_view(groups, 0).runtime, "node");
}
END_TEST

START_TEST(processes_are_counted_and_never_negative)
{
	group_add_process(web, 1);
	group_add_process(web, 2);
	group_add_process(web, -1);
	ck_assert_uint_eq(groups_view(groups, 0).processes, 2);
	group_add_process(web, -5);
	ck_assert_uint_eq(groups_view(groups, 0).processes, 0);
}
END_TEST

START_TEST(groups_past_the_maximum_are_one)
{
	char name[32];
	struct group *group, *other = NULL;

	for (int i = 1; i < GROUPS_MAX + 50; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		group = groups_get(groups, name);
		ck_assert_ptr_nonnull(group);
		if (i >= GROUPS_MAX) {
			ck_assert(!other || group == other);
			other = group;
		}
	}
	ck_assert_uint_eq(groups_count(groups), GROUPS_MAX + 1);
	ck_assert_ptr_eq(groups_get(groups, GROUPS_OVERFLOW), other);
	ck_assert_ptr_eq(groups_get(groups, "web"), web);
}
END_TEST

START_TEST(series_past_the_maximum_are_one)
{
	char name[32];
	struct series *series = NULL;

	for (int i = 1; i < GROUPS_SERIES_MAX + 20; i++) {
		snprintf(name, sizeof(name), "loop%d", i);
		series = group_series(web, name);
		ck_assert_ptr_nonnull(series);
	}
	ck_assert_uint_eq(groups_view(groups, 0).series_count, GROUPS_SERIES_MAX + 1);
	ck_assert_ptr_eq(group_series(web, GROUPS_OVERFLOW), series);
}
END_TEST

START_TEST(all_groups_together_have_a_maximum_of_series)
{
	char name[32];
	size_t count = 0;

	for (int i = 0; i < 100; i++) {
		struct group *group;

		snprintf(name, sizeof(name), "g%d", i);
		group = groups_get(groups, name);
		for (int j = 0; j < 60; j++) {
			snprintf(name, sizeof(name), "loop%d", j);
			ck_assert_ptr_nonnull(group_series(group, name));
		}
	}
	for (size_t i = 0; i < groups_count(groups); i++)
		count += groups_view(groups, i).series_count;
	ck_assert_uint_le(count, GROUPS_SERIES_TOTAL_MAX + GROUPS_MAX + 1);
}
END_TEST

static struct group *
join(const char *name, uid_t uid, bool given)
{
	return groups_join(groups, &(struct groups_name){name, uid, given});
}

static const char *
name_of(struct group *group)
{
	return series_groupname(group_series(group, "main"));
}

START_TEST(a_chosen_name_is_one_users_alone)
{
	struct group *first = join("node", 1000, false);

	ck_assert_str_eq(name_of(first), "node");
	ck_assert_ptr_eq(join("node", 1000, false), first);
	ck_assert_str_eq(name_of(join("node", 1001, false)), "node@1001");
	ck_assert_str_eq(name_of(join("node", 0, false)), "node@0");
	ck_assert_str_eq(name_of(join("node", 33, true)), "node@33");
	ck_assert_ptr_eq(join("node", 1001, false), join("node", 1001, false));
	/* And a name that looks like it is no way in either. */
	ck_assert_str_eq(name_of(join("node@1001", 1002, false)), "node@1001@1002");
}
END_TEST

START_TEST(a_given_name_is_for_all_to_whom_it_is_given)
{
	ck_assert_ptr_eq(join("web", 33, true), web);
	ck_assert_ptr_eq(join("web", 34, true), web);
	ck_assert_str_eq(name_of(join("web", 33, false)), "web@33");
}
END_TEST

START_TEST(whoever_has_no_name_left_is_in_other)
{
	ck_assert_str_eq(name_of(join("node", 1000, false)), "node");
	ck_assert_str_eq(name_of(join("node@1001", 1002, false)), "node@1001");
	ck_assert_str_eq(name_of(join("node", 1001, false)), GROUPS_OVERFLOW);
	ck_assert_ptr_eq(
		join(GROUPS_OVERFLOW, 1003, false), groups_get(groups, GROUPS_OVERFLOW));
}
END_TEST

START_TEST(a_group_is_sought_without_being_made)
{
	const struct groups_name mine = {"node", 1001, false};

	ck_assert_ptr_null(groups_seek(groups, &mine));
	ck_assert_uint_eq(groups_count(groups), 1);
	(void)join("node", 1000, false);
	ck_assert_ptr_null(groups_seek(groups, &mine));
	ck_assert_ptr_eq(groups_join(groups, &mine), groups_seek(groups, &mine));
}
END_TEST

START_TEST(a_name_of_255_bytes_still_tells_its_user)
{
	char name[256];

	memset(name, 'x', 253);
	strcpy(name + 253, "\303\266");
	ck_assert_str_eq(name_of(join(name, 1, false)), name);
	ck_assert_uint_le(strlen(name_of(join(name, 4294967294, false))), 255);
	strcpy(name + 244, "@4294967294");
	ck_assert_str_eq(name_of(groups_find(groups, name)), name);
}
END_TEST

START_TEST(a_user_with_too_many_groups_leaves_room_for_others)
{
	struct quota *quota = quota_new();
	char name[32];

	groups_set_quota(groups, quota);
	for (int i = 0; i < 3 * GROUPS_MAX; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		ck_assert_ptr_nonnull(join(name, 1000, false));
	}
	ck_assert_uint_le(groups_count(groups), GROUPS_MAX / 2 + 2);
	ck_assert_str_eq(name_of(join("mine", 1001, false)), "mine");
	for (int i = 0; i < GROUPS_MAX / 4; i++) {
		snprintf(name, sizeof(name), "unit%d.service", i);
		ck_assert_str_eq(name_of(join(name, 1000, true)), name);
	}
	groups_set_quota(groups, NULL);
	quota_free(quota);
}
END_TEST

START_TEST(a_user_with_too_many_labels_leaves_room_for_others)
{
	struct quota *quota = quota_new();
	struct group *group;
	size_t count = 0;
	char name[32];

	groups_set_quota(groups, quota);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "g%d", i);
		group = join(name, 1000, false);
		for (int j = 0; j < GROUPS_SERIES_MAX; j++) {
			snprintf(name, sizeof(name), "loop%d", j);
			ck_assert_ptr_nonnull(group_series_for(group, name, 1000));
		}
	}
	for (size_t i = 0; i < groups_count(groups); i++)
		count += groups_view(groups, i).series_count;
	ck_assert_uint_le(count, GROUPS_SERIES_TOTAL_MAX / 4 + 102);
	ck_assert_str_eq(
		series_loop(group_series_for(web, "more", 1000)), GROUPS_OVERFLOW);
	ck_assert_str_eq(series_loop(group_series_for(web, "worker", 1001)), "worker");
	ck_assert_str_eq(series_loop(group_series_for(web, "worker", 1000)), "worker");
	groups_set_quota(groups, NULL);
	quota_free(quota);
}
END_TEST

START_TEST(a_reading_forgets_the_loops_of_the_last_one)
{
	groups_begin_reading(groups, SECOND);
	series_saw_loop(loop, 0);
	series_saw_loop(loop, 300 * MS);
	ck_assert_uint_eq(view().loops, 2);
	ck_assert_uint_eq(view().open_count, 1);
	ck_assert_uint_eq(view().open_ns[0], 300 * MS);
	ck_assert_uint_eq(groups_view(groups, 0).loops, 2);
	groups_begin_reading(groups, 2 * SECOND);
	ck_assert_uint_eq(view().loops, 0);
	ck_assert_uint_eq(view().open_count, 0);
	for (unsigned i = 1; i <= 100; i++)
		series_saw_loop(loop, i);
	ck_assert_uint_eq(view().open_count, 100);
	ck_assert_uint_eq(view().open_ns[99], 100);
}
END_TEST

START_TEST(totals_stay_and_windows_forget)
{
	add(SECOND, 100 * MS, 10 * SECOND);
	add(SECOND, 20 * MS, 11 * SECOND);
	ck_assert_uint_eq(view().total->iterations, 2);
	ck_assert_uint_eq(view().window->iterations, 2);
	groups_begin_reading(groups, 100 * SECOND);
	ck_assert_uint_eq(view().total->iterations, 2);
	ck_assert_uint_eq(view().total->life_ns, 2 * SECOND);
	ck_assert_uint_eq(view().total->max_ns, 100 * MS);
	ck_assert_uint_eq(view().window->iterations, 0);
	ck_assert_uint_eq(view().window->life_ns, 0);
}
END_TEST

START_TEST(an_open_iteration_counts_as_if_it_had_ended_now)
{
	static const double q[] = {0.5, 0.9, 0.99, 1},
			    limits[] = {0.001, 0.1, 1, INFINITY};
	struct counters total;
	struct series_view open;
	double with_open[4], ended[4], open_buckets[4], ended_buckets[4];
	double excess, active, idle, half_squares;

	add(10 * SECOND, 100 * MS, SECOND);
	groups_begin_reading(groups, SECOND);
	series_saw_loop(loop, 3 * SECOND);
	open = view();
	series_delay_quantiles(&open, open.total, q, 4, with_open);
	series_delay_buckets(&open, open.total, limits, 4, open_buckets);
	excess = series_excess_seconds(&open, open.total, 0.25);
	active = series_active_seconds(&open, open.total);
	idle = series_idle_seconds(&open, open.total);
	half_squares = series_half_squares(&open, open.total);
	ck_assert_double_eq(series_max_seconds(&open, open.total), 3);

	total = *open.total;
	counters_record(&total, 3 * SECOND);
	open.open_count = 0;
	series_delay_quantiles(&open, &total, q, 4, ended);
	series_delay_buckets(&open, &total, limits, 4, ended_buckets);
	for (int i = 0; i < 4; i++)
		ck_assert_double_eq(with_open[i], ended[i]);
	ck_assert_double_eq_tol(with_open[0], 0, 1e-9);
	ck_assert_double_eq_tol(with_open[2], 2.9, 0.03);
	ck_assert_double_eq(with_open[3], 3);
	/* Where the limit is no edge, an ended one is known less exactly. */
	for (int i = 0; i < 4; i++)
		ck_assert_double_ge(ended_buckets[i], open_buckets[i]);
	ck_assert_double_eq(open_buckets[2], 8);
	ck_assert_double_eq(ended_buckets[2], 8);
	ck_assert_double_eq(open_buckets[3], 10);
	ck_assert_double_eq_tol(excess, 2.75, 1e-9);
	ck_assert_double_eq(active, 3.1);
	ck_assert_double_eq(idle, 6.9);
	ck_assert_double_eq(half_squares, series_half_squares(&open, &total));
	ck_assert_double_eq(active, series_active_seconds(&open, &total));
}
END_TEST

START_TEST(the_longest_is_exact_in_totals)
{
	double one = 1, longest;
	struct series_view v;

	add(SECOND, 123456789, SECOND);
	add(SECOND, 5, SECOND);
	v = view();
	series_delay_quantiles(&v, v.total, &one, 1, &longest);
	ck_assert_double_eq(longest, 0.123456789);
	ck_assert_double_eq(series_max_seconds(&v, v.total), 0.123456789);
}
END_TEST

START_TEST(no_quantile_is_above_the_longest)
{
	static const double q[] = {0.9999999, 1};
	double answers[2];
	struct series_view v;

	/* Just above the edge of a bucket, whose middle is 1 % more. */
	add(SECOND, histogram_upper_ns(500) + 1, SECOND);
	v = view();
	series_delay_quantiles(&v, v.total, q, 2, answers);
	ck_assert_double_le(answers[0], answers[1]);
	ck_assert_double_gt(answers[0], 0.99 * answers[1]);
}
END_TEST

/* Everything that is exported as a counter. */
#define LIMITS 26
static void
export_counters(double *ret)
{
	struct series_view v = view();
	double limits[LIMITS];

	for (unsigned i = 0; i < LIMITS; i++)
		limits[i] = i & 1 ? band_upper_seconds(4 * i) : 0.00001 * pow(2, i);
	series_delay_buckets(&v, v.total, limits, LIMITS, ret);
	ret[LIMITS] = series_active_seconds(&v, v.total);
	ret[LIMITS + 1] = series_idle_seconds(&v, v.total);
	ret[LIMITS + 2] = series_half_squares(&v, v.total);
	ret[LIMITS + 3] = (double)v.total->life_ns / 1e9;
}

/*
 * A busy loop with stalls, read now and then, in the middle of iterations too. The numbers
 * begin high, where a double's precision is not far from a nanosecond.
 */
START_TEST(no_exported_counter_ever_goes_back)
{
	double before[LIMITS + 4] = {0}, after[LIMITS + 4];
	struct counters delta = {.life_ns = 40000000ull * SECOND};
	uint64_t start = 50000000ull * SECOND, now = start, read_at = start, seed = 1;
	uint64_t open_since = 0;

	counters_record(&delta, 30000000ull * SECOND);
	series_add(loop, &delta, now);
	memset(&delta, 0, sizeof(delta));
	for (int n = 0; n < 200000; n++) {
		uint64_t length;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		length = (seed >> 33) % (1ull << (seed >> 59)) + 1;
		if (seed >> 58 & 1) {
			now += length;
			if (open_since)
				counters_record(&delta, now - open_since);
			open_since = 0;
		} else {
			if (!open_since)
				open_since = now;
			now += length;
		}
		if ((seed >> 40) % 4)
			continue;
		delta.life_ns = now - read_at;
		read_at = now;
		groups_begin_reading(groups, now);
		series_add(loop, &delta, now);
		memset(&delta, 0, sizeof(delta));
		series_saw_loop(loop, open_since ? now - open_since : 0);
		export_counters(after);
		for (int i = 0; i < LIMITS + 4; i++)
			ck_assert_msg(after[i] >= before[i],
				"counter %d: %.17g after %.17g", i, after[i], before[i]);
		memcpy(before, after, sizeof(before));
	}
}
END_TEST

START_TEST(absurd_counters_give_numbers)
{
	static const double q[] = {0, 0.5, 1}, limits[] = {0, 0.1, INFINITY};
	struct counters absurd;
	struct series_view v;
	double answers[3];

	memset(&absurd, 0xff, sizeof(absurd));
	series_add(loop, &absurd, SECOND);
	series_add(loop, &absurd, SECOND);
	series_saw_loop(loop, UINT64_MAX);
	series_saw_loop(loop, UINT64_MAX);
	v = view();
	series_delay_quantiles(&v, v.total, q, 3, answers);
	for (int i = 0; i < 3; i++)
		ck_assert(answers[i] >= 0 && isfinite(answers[i]));
	series_delay_buckets(&v, v.total, limits, 3, answers);
	for (int i = 0; i < 3; i++)
		ck_assert(answers[i] >= 0 && isfinite(answers[i]));
	ck_assert(isfinite(series_active_seconds(&v, v.total)));
	ck_assert(isfinite(series_half_squares(&v, v.total)));
	ck_assert_double_eq(series_idle_seconds(&v, v.total), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("groups");
	TCase *tcase = tcase_create("groups");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_group_comes_back_by_its_name);
	tcase_add_test(tcase, the_first_runtime_told_stays);
	tcase_add_test(tcase, processes_are_counted_and_never_negative);
	tcase_add_test(tcase, groups_past_the_maximum_are_one);
	tcase_add_test(tcase, series_past_the_maximum_are_one);
	tcase_add_test(tcase, all_groups_together_have_a_maximum_of_series);
	tcase_add_test(tcase, a_chosen_name_is_one_users_alone);
	tcase_add_test(tcase, a_given_name_is_for_all_to_whom_it_is_given);
	tcase_add_test(tcase, whoever_has_no_name_left_is_in_other);
	tcase_add_test(tcase, a_group_is_sought_without_being_made);
	tcase_add_test(tcase, a_name_of_255_bytes_still_tells_its_user);
	tcase_add_test(tcase, a_user_with_too_many_groups_leaves_room_for_others);
	tcase_add_test(tcase, a_user_with_too_many_labels_leaves_room_for_others);
	tcase_add_test(tcase, a_reading_forgets_the_loops_of_the_last_one);
	tcase_add_test(tcase, totals_stay_and_windows_forget);
	tcase_add_test(tcase, an_open_iteration_counts_as_if_it_had_ended_now);
	tcase_add_test(tcase, the_longest_is_exact_in_totals);
	tcase_add_test(tcase, no_quantile_is_above_the_longest);
	tcase_add_test(tcase, no_exported_counter_ever_goes_back);
	tcase_add_test(tcase, absurd_counters_give_numbers);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
