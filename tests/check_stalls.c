/* SPDX-License-Identifier: MIT */
/* The store of stalls: events in their order, bounds, and each group's share; and how they
 * look as JSON. */

#include "config.h"

#include "daemon/stalls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <jansson.h>

#include "daemon/api_stalls.h"
#include "daemon/query.h"

#define MS 1000000ull
/* 2026-01-01T10:00:00.123Z */
#define TEN (1767261600123000000ll)

static const char web[] = "web", evil[] = "evil", loop[] = "main";
static struct stalls *stalls;
static const struct stalls_cause cpu = {.cause = STALL_CPU, .shares[STALL_CPU] = 1};
static const struct stalls_cause blocked = {.cause = STALL_BLOCKED,
	.shares = {[STALL_BLOCKED] = 0.9, [STALL_CPU] = 0.1},
	.system_call = "futex"};

/* What was told, as words. */
static char events[256];

static void
note(void *arg, const struct stall *stall, enum stalls_event event)
{
	static const char *const names[] = {"opened", "ended", "sampled"};
	size_t length = strlen(events);

	snprintf(events + length, sizeof(events) - length, "%s %d %s;", names[event],
		(int)stall->id, stall_cause_name(stall->cause));
}

static void
set_up(void)
{
	stalls = stalls_new();
	ck_assert_ptr_nonnull(stalls);
	events[0] = 0;
}

static void
tear_down(void)
{
	stalls_free(stalls);
}

static uint64_t
open_one(const char *groupname)
{
	struct stall stall = {.groupname = groupname,
		.loop = loop,
		.pid = 11,
		.tid = 12,
		.started_ns = 5,
		.started_unix_ns = TEN};

	return stalls_open(stalls, &stall, 100 * MS);
}

static uint64_t
report(const char *groupname)
{
	uint64_t id = open_one(groupname);

	stalls_end(stalls, id, 120 * MS, &cpu);
	return id;
}

/* A sample with so many frames. */
static struct stall_sample
sample_of(size_t count, const char *function)
{
	struct stall_sample sample = {.count = count, .taken_ns = 1};

	sample.frames = calloc(count + 1, sizeof(*sample.frames));
	for (size_t i = 0; i < count; i++) {
		sample.frames[i].language = STALL_PYTHON;
		sample.frames[i].function = strdup(function);
		sample.frames[i].file = strdup("/srv/app.py");
		sample.frames[i].line = 7;
	}
	return sample;
}

START_TEST(events_come_in_the_order_in_which_things_happen)
{
	struct stall_sample sample = sample_of(1, "f");
	uint64_t id;

	ck_assert_int_eq(stalls_subscribe(stalls, note, NULL), 0);
	id = open_one(web);
	ck_assert_uint_eq(id, 1);
	stalls_update(stalls, id, 200 * MS, &blocked);
	ck_assert_uint_eq(stalls_find(stalls, id)->length_ns, 200 * MS);
	ck_assert(stalls_find(stalls, id)->open);
	stalls_add_sample(stalls, id, &sample);
	stalls_end(stalls, id, 300 * MS, &blocked);
	report(web);
	ck_assert_str_eq(events, "opened 1 unknown;sampled 1 blocked;ended 1 blocked;"
				 "opened 2 unknown;ended 2 cpu;");
	ck_assert(!stalls_find(stalls, id)->open);
	ck_assert_uint_eq(stalls_find(stalls, id)->length_ns, 300 * MS);
	ck_assert_str_eq(stalls_find(stalls, id)->system_call, "futex");
	ck_assert_ptr_null(stalls_find(stalls, 3));
	ck_assert_ptr_null(stalls_find(stalls, 0));
}
END_TEST

START_TEST(the_stalls_of_a_group_are_forgotten_with_it)
{
	static const char other[] = "other group";
	uint64_t first = report(web), open = open_one(web), kept = report(other);

	stalls_forget_group(stalls, web);
	ck_assert_ptr_null(stalls_find(stalls, first));
	ck_assert_ptr_null(stalls_find(stalls, open));
	ck_assert_uint_eq(stalls_count(stalls), 1);
	ck_assert_uint_eq(stalls_at(stalls, 0)->id, kept);
	stalls_end(stalls, open, 200 * MS, &cpu);
	/* Another one at the same place. */
	for (int i = 0; i < 2 * STALLS_KEPT; i++)
		report(web);
	ck_assert_uint_eq(stalls_count(stalls), STALLS_KEPT);
	ck_assert_ptr_nonnull(stalls_find(stalls, kept));
	stalls_forget_group(stalls, web);
	stalls_forget_group(stalls, other);
	stalls_forget_group(stalls, other);
	ck_assert_uint_eq(stalls_count(stalls), 0);
}
END_TEST

START_TEST(what_has_ended_does_not_change)
{
	uint64_t id = report(web);

	stalls_update(stalls, id, 500 * MS, &blocked);
	stalls_end(stalls, id, 500 * MS, &blocked);
	stalls_end(stalls, 77, 500 * MS, &blocked);
	ck_assert_uint_eq(stalls_find(stalls, id)->length_ns, 120 * MS);
	ck_assert_int_eq(stalls_find(stalls, id)->cause, STALL_CPU);
	ck_assert_uint_eq(stalls_count(stalls), 1);
}
END_TEST

START_TEST(a_sample_that_waits_for_the_gil_tells_the_cause)
{
	struct stall_sample sample = {.waits_gil = true};
	uint64_t id = open_one(web);

	stalls_update(stalls, id, 200 * MS, &blocked);
	stalls_add_sample(stalls, id, &sample);
	ck_assert_int_eq(stalls_find(stalls, id)->cause, STALL_GIL);
	stalls_update(stalls, id, 300 * MS, &blocked);
	ck_assert_int_eq(stalls_find(stalls, id)->cause, STALL_GIL);
	ck_assert_double_eq(stalls_find(stalls, id)->shares[STALL_GIL], 0.9);
	ck_assert_ptr_null(stalls_find(stalls, id)->system_call);
	stalls_end(stalls, id, 300 * MS, &blocked);
	ck_assert_int_eq(stalls_find(stalls, id)->cause, STALL_GIL);
}
END_TEST

START_TEST(a_sample_with_what_was_missing_is_better)
{
	struct stall_sample native = sample_of(2, "native"), whole = sample_of(1, "f");
	uint64_t id = open_one(web);

	native.missing = "JavaScript frames";
	stalls_add_sample(stalls, id, &native);
	ck_assert_ptr_nonnull(stalls_find(stalls, id)->sample.missing);
	stalls_add_sample(stalls, id, &whole);
	ck_assert_ptr_null(stalls_find(stalls, id)->sample.missing);
	ck_assert_uint_eq(stalls_find(stalls, id)->sample.count, 1);
}
END_TEST

START_TEST(why_there_is_no_stack_is_not_forgotten)
{
	struct stall_sample refused = {.missing = "refused"}, over = {.missing = "over"},
			    silent = {0}, whole = sample_of(1, "f");
	uint64_t id = open_one(web);

	stalls_add_sample(stalls, id, &silent);
	stalls_add_sample(stalls, id, &refused);
	stalls_add_sample(stalls, id, &over);
	stalls_add_sample(stalls, id, &silent);
	ck_assert_str_eq(stalls_find(stalls, id)->sample.missing, "refused");
	stalls_add_sample(stalls, id, &whole);
	ck_assert_ptr_null(stalls_find(stalls, id)->sample.missing);
}
END_TEST

START_TEST(the_first_sample_that_says_something_stays)
{
	struct stall_sample none = {.missing = "no"}, first = sample_of(2, "first"),
			    second = sample_of(3, "second"), lost = sample_of(1, "x");
	uint64_t id = open_one(web);

	stalls_add_sample(stalls, id, &none);
	ck_assert_str_eq(stalls_find(stalls, id)->sample.missing, "no");
	ck_assert_uint_eq(stalls_find(stalls, id)->samples, 0);
	stalls_add_sample(stalls, id, &first);
	stalls_end(stalls, id, 300 * MS, &cpu);
	stalls_add_sample(stalls, id, &second);
	ck_assert_uint_eq(stalls_find(stalls, id)->sample.count, 2);
	ck_assert_uint_eq(stalls_find(stalls, id)->samples, 2);
	ck_assert_uint_ne(stalls_find(stalls, id)->stack_id, 0);
	ck_assert_ptr_null(stalls_find(stalls, id)->sample.missing);
	/* Of nobody: it is freed all the same. */
	stalls_add_sample(stalls, 99, &lost);
	ck_assert_ptr_null(lost.frames);
}
END_TEST

START_TEST(one_group_does_not_push_out_anothers_history)
{
	size_t of_web = 0;

	for (int i = 0; i < 50; i++)
		report(web);
	for (int i = 0; i < 5 * STALLS_KEPT; i++)
		report(evil);
	ck_assert_uint_eq(stalls_count(stalls), STALLS_KEPT);
	for (size_t i = 0; i < stalls_count(stalls); i++) {
		of_web += stalls_at(stalls, i)->groupname == web;
		if (i)
			ck_assert_uint_lt(
				stalls_at(stalls, i - 1)->id, stalls_at(stalls, i)->id);
	}
	ck_assert_uint_eq(of_web, 50);
	/* The latest ones are kept. */
	ck_assert_uint_eq(stalls_at(stalls, STALLS_KEPT - 1)->id, 50 + 5 * STALLS_KEPT);
}
END_TEST

START_TEST(very_long_stacks_make_a_group_keep_fewer)
{
	char name[1001] = {0};
	size_t bytes = 0, of_web = 0;

	memset(name, 'x', 1000);
	for (int i = 0; i < 50; i++)
		report(web);
	for (int i = 0; i < 2 * STALLS_KEPT; i++) {
		uint64_t id = open_one(evil);
		struct stall_sample sample = {
			.frames = calloc(12, sizeof(struct stall_frame)), .count = 12};

		for (size_t j = 0; j < 12; j++)
			sample.frames[j].module = strdup(name);
		/* It makes no difference when the stack comes. */
		if (i % 2)
			stalls_end(stalls, id, 500 * MS, &cpu);
		stalls_add_sample(stalls, id, &sample);
		if (i % 2 == 0)
			stalls_end(stalls, id, 500 * MS, &cpu);
	}
	for (size_t i = 0; i < stalls_count(stalls); i++) {
		of_web += stalls_at(stalls, i)->groupname == web;
		bytes += stalls_at(stalls, i)->sample.count * 1000;
	}
	ck_assert_uint_eq(of_web, 50);
	ck_assert_uint_lt(bytes, 9000000);
	ck_assert_uint_gt(bytes, 6000000);
}
END_TEST

START_TEST(one_group_does_not_take_all_the_room_for_open_ones)
{
	size_t opened = 0;

	for (int i = 0; i < 100000; i++)
		opened += open_one(evil) != 0;
	ck_assert_uint_lt(opened, 10000);
	ck_assert_uint_ge(opened, 1000);
	for (int i = 0; i < 500; i++)
		ck_assert_uint_ne(open_one(web), 0);
}
END_TEST

START_TEST(open_ones_stay_while_others_end)
{
	uint64_t id = open_one(web);

	for (int i = 0; i < 2 * STALLS_KEPT; i++)
		report(web);
	ck_assert(stalls_find(stalls, id)->open);
	ck_assert_uint_eq(stalls_count(stalls), STALLS_KEPT + 1);
	stalls_end(stalls, id, 500 * MS, &cpu);
	/* The oldest gives way, even though it has just ended. */
	ck_assert_ptr_null(stalls_find(stalls, id));
}
END_TEST

/* The answer to a query, which must be a good one. */
static json_t *
ask(const char *query)
{
	char *reason, *text = NULL;
	struct api_stalls *answer = api_stalls_new(stalls, query, &reason);
	size_t length;
	FILE *out = open_memstream(&text, &length);
	json_t *root;
	int r;

	ck_assert_msg(answer != NULL, "%s", reason);
	while ((r = api_stalls_write(answer, out)) > 0)
		;
	ck_assert_int_eq(r, 0);
	fclose(out);
	api_stalls_free(answer);
	ck_assert_int_eq(text[length - 1], '\n');
	root = json_loads(text, 0, NULL);
	free(text);
	ck_assert_ptr_nonnull(root);
	return root;
}

static size_t
count(const char *query)
{
	json_t *root = ask(query);
	size_t n = json_array_size(json_object_get(root, "stalls"));

	json_decref(root);
	return n;
}

START_TEST(a_stall_is_an_object_with_what_is_known)
{
	struct stall_sample sample = sample_of(1, "crunch");
	uint64_t id = open_one(web);
	json_t *root, *stall, *expected;

	stalls_update(stalls, id, 250 * MS, &blocked);
	stalls_add_sample(stalls, id, &sample);
	root = ask(NULL);
	stall = json_array_get(json_object_get(root, "stalls"), 0);
	ck_assert_uint_eq(
		strlen(json_string_value(json_object_get(stall, "stack_id"))), 16);
	json_object_del(stall, "stack_id");
	expected = json_pack("{s:i,s:s,s:s,s:i,s:i,s:s,s:f,s:b,s:s,s:{s:f,s:f},s:s,"
			     "s:[{s:s,s:s,s:s,s:i}],s:i}",
		"id", 1, "groupname", "web", "loop", "main", "pid", 11, "tid", 12,
		"started", "2026-01-01T10:00:00.123Z", "seconds", 0.25, "open", 1,
		"cause", "blocked", "shares", "blocked", 0.9, "cpu", 0.1, "system_call",
		"futex", "stack", "lang", "python", "function", "crunch", "file",
		"/srv/app.py", "line", 7, "samples", 1);
	ck_assert_ptr_nonnull(expected);
	if (!json_equal(stall, expected))
		ck_abort_msg("%s", json_dumps(stall, 0));
	json_decref(expected);
	json_decref(root);
}
END_TEST

START_TEST(queries_choose)
{
	report(web);
	report(evil);
	open_one(web);
	ck_assert_uint_eq(count(NULL), 3);
	ck_assert_uint_eq(count(""), 3);
	ck_assert_uint_eq(count("group=web"), 2);
	ck_assert_uint_eq(count("group=%77eb&since=1"), 1);
	ck_assert_uint_eq(count("group=nobody"), 0);
	ck_assert_uint_eq(count("since=0"), 3);
	ck_assert_uint_eq(count("since=2"), 1);
	/* Those that have ended did so 120 ms after they began. */
	ck_assert_uint_eq(count("since=2026-01-01T10:00:00.200Z"), 3);
	ck_assert_uint_eq(count("since=2026-01-01T11:00:00.300%2B01:00"), 1);
	ck_assert_uint_eq(count("since=2026-01-01T11:00:00.200+01:00"), 3);
}
END_TEST

START_TEST(bad_queries_are_explained)
{
	static const struct {
		const char *query, *words;
	} bad[] = {{"since=", "since=:"}, {"since=yesterday", "since=yesterday"},
		{"since=1x", "expected the id"}, {"since=-1", "expected the id"},
		{"since=99999999999999999999", "expected"},
		{"since=2026-13-01T10:00:00Z", "expected"},
		{"since=2026-01-01T10:00:00", "expected"},
		{"since=2026-01-01", "expected"},
		{"since=2026-01-01T10:00:00+1", "expected"}, {"sinc=1", "\"sinc\""},
		{"group=%zz", "cannot be read"}, {"group=%00", "cannot be read"},
		{"a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a", "cannot be read"}};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char *reason;

		ck_assert_msg(!api_stalls_new(stalls, bad[i].query, &reason), "%s",
			bad[i].query);
		ck_assert_msg(strstr(reason, bad[i].words) != NULL, "%s", reason);
		free(reason);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("stalls");
	TCase *tcase = tcase_create("stalls");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, events_come_in_the_order_in_which_things_happen);
	tcase_add_test(tcase, the_stalls_of_a_group_are_forgotten_with_it);
	tcase_add_test(tcase, what_has_ended_does_not_change);
	tcase_add_test(tcase, a_sample_that_waits_for_the_gil_tells_the_cause);
	tcase_add_test(tcase, a_sample_with_what_was_missing_is_better);
	tcase_add_test(tcase, why_there_is_no_stack_is_not_forgotten);
	tcase_add_test(tcase, the_first_sample_that_says_something_stays);
	tcase_add_test(tcase, one_group_does_not_push_out_anothers_history);
	tcase_add_test(tcase, very_long_stacks_make_a_group_keep_fewer);
	tcase_add_test(tcase, one_group_does_not_take_all_the_room_for_open_ones);
	tcase_add_test(tcase, open_ones_stay_while_others_end);
	tcase_add_test(tcase, a_stall_is_an_object_with_what_is_known);
	tcase_add_test(tcase, queries_choose);
	tcase_add_test(tcase, bad_queries_are_explained);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
