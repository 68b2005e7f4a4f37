/* SPDX-License-Identifier: MIT */
/* cli/worst.c and report_stalls.c: how stalls are added up, and what a report says. */

#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/report_stalls.h"
#include "cli/style.h"
#include "cli/worst.h"
#include "daemon/groups.h"
#include "daemon/stalls.h"

#define MS 1000000ull

static const char web[] = "web", shop[] = "shop", main_loop[] = "main";
static struct stalls *stalls;
static struct worst *worst;
static char *text;

static void
begin(void)
{
	stalls = stalls_new();
	ck_assert_ptr_nonnull(stalls);
	worst = worst_new(stalls);
	ck_assert_ptr_nonnull(worst);
	text = NULL;
}

static void
end(void)
{
	free(text);
	worst_free(worst);
	stalls_free(stalls);
}

/* A stall that was reported whole, in that function or without a stack. */
static uint64_t
add(const char *groupname, const char *function, uint64_t length_ns)
{
	static const struct stalls_cause cause = {
		.cause = STALL_CPU, .shares[STALL_CPU] = 1};
	struct stall stall = {.groupname = groupname,
		.loop = main_loop,
		.pid = 1,
		.started_ns = MS,
		.open = true};
	struct stall_sample sample = {.count = 1};
	uint64_t id = stalls_open(stalls, &stall, length_ns);

	stalls_end(stalls, id, length_ns, &cause);
	if (function) {
		sample.frames = calloc(1, sizeof *sample.frames);
		ck_assert_ptr_nonnull(sample.frames);
		*sample.frames = (struct stall_frame){.language = STALL_JS,
			.function = strdup(function),
			.file = strdup("/srv/app.js"),
			.line = 7};
		stalls_add_sample(stalls, id, &sample);
	}
	return id;
}

static const char *
report(void)
{
	const struct style style = {.columns = 80};
	size_t size;
	FILE *out;

	free(text);
	out = open_memstream(&text, &size);
	ck_assert_ptr_nonnull(out);
	report_stalls_text(worst, 50 * MS, &style, out);
	ck_assert_int_eq(fclose(out), 0);
	return text;
}

START_TEST(stalls_of_one_place_are_added_up_and_the_worst_place_comes_first)
{
	add(web, "quick", 60 * MS);
	add(web, "slow", 100 * MS);
	add(web, "slow", 300 * MS);
	add(web, "slow", 200 * MS);
	add(web, NULL, 70 * MS);
	add(web, NULL, 71 * MS);
	worst_finish(worst);
	ck_assert_uint_eq(worst_count(worst), 3);
	ck_assert_uint_eq(worst_at(worst, 0)->count, 3);
	ck_assert_uint_eq(worst_at(worst, 0)->total_ns, 600 * MS);
	ck_assert_uint_eq(worst_at(worst, 0)->longest.length_ns, 300 * MS);
	ck_assert_int_eq(worst_cause(worst_at(worst, 0)), STALL_CPU);
	ck_assert_uint_eq(worst_at(worst, 1)->count, 2);
	ck_assert_str_eq(report(),
		"\nStuck for over 50.0 ms: 6 times\n"
		"\n600 ms in 3 times, longest 300 ms: web, main, running\n"
		"   > slow (/srv/app.js:7)\n"
		"\n141 ms in 2 times, longest 71.0 ms: web, main, running\n"
		"     (no stack: it was over before one could be taken)\n"
		"\n60.0 ms: web, main, running\n"
		"   > quick (/srv/app.js:7)\n");
}
END_TEST

START_TEST(the_same_path_in_two_groups_is_two_places)
{
	add(web, "slow", 60 * MS);
	add(shop, "slow", 60 * MS);
	worst_finish(worst);
	ck_assert_uint_eq(worst_count(worst), 2);
}
END_TEST

START_TEST(a_run_without_stalls_says_nothing)
{
	worst_finish(worst);
	ck_assert_str_eq(report(), "");
}
END_TEST

START_TEST(more_places_than_fit_are_counted)
{
	char name[16];

	for (int i = 0; i < 15; i++) {
		snprintf(name, sizeof name, "f%d", i);
		add(web, name, (60 + (uint64_t)i) * MS);
	}
	worst_finish(worst);
	ck_assert_ptr_nonnull(strstr(report(), "\n74.0 ms: web, main"));
	ck_assert_ptr_null(strstr(text, "\n64.0 ms"));
	ck_assert_ptr_nonnull(strstr(text, "\nNot shown: 5 times in other places.\n"));
}
END_TEST

START_TEST(a_run_with_more_stalls_than_are_kept_counts_them_all)
{
	for (int i = 0; i < 5 * STALLS_KEPT; i++)
		add(web, i % 2 ? "odd" : "even", 60 * MS);
	worst_finish(worst);
	ck_assert_uint_eq(worst_count(worst), 2);
	ck_assert_uint_eq(worst_left_out(worst), 0);
	ck_assert_uint_eq(worst_at(worst, 0)->count, 5 * STALLS_KEPT / 2);
}
END_TEST

START_TEST(one_that_lasts_counts_too)
{
	struct stall stall = {.groupname = web, .loop = main_loop, .open = true};

	ck_assert_uint_ne(stalls_open(stalls, &stall, 80 * MS), 0);
	worst_finish(worst);
	ck_assert_uint_eq(worst_count(worst), 1);
	ck_assert_uint_eq(worst_at(worst, 0)->total_ns, 80 * MS);
}
END_TEST

START_TEST(a_stack_is_waited_for_only_so_long)
{
	ck_assert(!worst_is_waiting(worst, MS));
	add(web, "slow", 60 * MS);
	ck_assert(!worst_is_waiting(worst, 70 * MS));
	add(web, NULL, 60 * MS);
	ck_assert(worst_is_waiting(worst, 70 * MS));
	ck_assert(!worst_is_waiting(worst, 2000 * MS));
}
END_TEST

START_TEST(the_json_report_has_groups_and_places)
{
	struct groups *groups = groups_new();
	char *json;
	json_t *root, *place;

	add(web, "slow", 60 * MS);
	add(web, "slow", 80 * MS);
	worst_finish(worst);
	json = report_stalls_json(groups, worst);
	root = json_loads(json, 0, NULL);
	ck_assert_msg(root != NULL, "%s", json);
	ck_assert(json_is_array(json_object_get(root, "groups")));
	place = json_array_get(json_object_get(root, "stalls"), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(place, "count")), 2);
	ck_assert_double_eq_tol(
		json_real_value(json_object_get(place, "seconds")), 0.14, 1e-9);
	ck_assert_str_eq(json_string_value(json_object_get(place, "cause")), "cpu");
	ck_assert_double_eq_tol(json_real_value(json_object_get(
					json_object_get(place, "longest"), "seconds")),
		0.08, 1e-9);
	json_decref(root);
	free(json);
	groups_free(groups);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("worst");
	TCase *tcase = tcase_create("worst");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_add_test(
		tcase, stalls_of_one_place_are_added_up_and_the_worst_place_comes_first);
	tcase_add_test(tcase, the_same_path_in_two_groups_is_two_places);
	tcase_add_test(tcase, a_run_without_stalls_says_nothing);
	tcase_add_test(tcase, more_places_than_fit_are_counted);
	tcase_add_test(tcase, a_run_with_more_stalls_than_are_kept_counts_them_all);
	tcase_add_test(tcase, one_that_lasts_counts_too);
	tcase_add_test(tcase, a_stack_is_waited_for_only_so_long);
	tcase_add_test(tcase, the_json_report_has_groups_and_places);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
