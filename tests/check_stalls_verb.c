/* SPDX-License-Identifier: MIT */
/* The pure parts of looplag stalls: moments, what is news, JSON in, text out. */

#include "config.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "cli/follower.h"
#include "cli/moment.h"
#include "cli/stall_json.h"
#include "cli/stall_text.h"
#include "cli/style.h"

#define SECOND 1000000000ll

/* 2026-01-31T10:00:00Z */
static const int64_t now_ns = 1769853600 * SECOND;

static void
begin(void)
{
	setenv("TZ", "XXX-2", 1);
	tzset();
}

static void
assert_moment(const char *text, int64_t expected_ns)
{
	int64_t ns = -1;

	ck_assert_msg(!moment_parse(text, now_ns, &ns), "%s is not taken", text);
	ck_assert_msg(ns == expected_ns, "%s: %lld", text, (long long)(ns - now_ns));
}

START_TEST(moments_are_taken_in_all_their_forms)
{
	assert_moment("10m", now_ns - 600 * SECOND);
	assert_moment("1h30m", now_ns - 5400 * SECOND);
	assert_moment("0", now_ns);
	assert_moment("2026-01-31T10:00:00Z", now_ns);
	assert_moment("2026-01-31T10:00:00.25Z", now_ns + SECOND / 4);
	assert_moment("2026-01-31T11:30:00+01:30", now_ns);
	assert_moment("2026-01-31T09:00:00-01:00", now_ns);
	assert_moment("2026-01-31T10:00Z", now_ns);
	/* Local time is two hours ahead. */
	assert_moment("2026-01-31T12:00:00", now_ns);
	assert_moment("2026-01-31 12:00", now_ns);
	assert_moment("12:00", now_ns);
	assert_moment("11:59:59.5", now_ns - SECOND / 2);
}
END_TEST

START_TEST(what_is_no_moment_is_refused)
{
	static const char *const wrong[] = {"", "soon", "5", "5x", "-5m", "5 m", "1m1h",
		" 10:00", "10:00 ", "25:00", "10:60", "1:00", "10:00Z", "10:00:00.",
		"2026-01-31", "2026-01-31T", "2026-02-30T10:00Z", "2026-13-01T10:00Z",
		"2026-04-31T10:00", "2026-01-31T10:00:00+1:00", "2026-01-31T10:00:00ZZ",
		"26-01-31T10:00Z", "2026-01-31x10:00Z", "99999y"};
	int64_t ns;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(moment_parse(wrong[i], now_ns, &ns) == -EINVAL,
			"'%s' is taken", wrong[i]);
}
END_TEST

START_TEST(a_moment_is_shown_in_local_time)
{
	char text[MOMENT_BYTES];

	ck_assert_str_eq(moment_format(now_ns + 123 * SECOND / 1000, text),
		"2026-01-31 12:00:00.123");
}
END_TEST

/* --- what is news --- */

static struct follower *follower;

static bool
take(uint64_t id, bool open, bool stack)
{
	static char file[] = "/srv/app.js";
	struct stall_frame frame = {.language = STALL_JS, .file = file};
	struct stall stall = {.id = id,
		.started_unix_ns = (int64_t)id * SECOND,
		.open = open,
		.sample = {.frames = &frame, .count = stack}};

	return follower_take(follower, &stall);
}

START_TEST(a_stall_is_shown_when_it_opens_and_when_it_has_ended)
{
	follower = follower_new();
	ck_assert_uint_eq(follower_since(follower), 0);
	follower_begin(follower);
	ck_assert(take(1, false, true));
	ck_assert(take(2, true, false));
	ck_assert(follower_end(follower));
	ck_assert_uint_eq(follower_since(follower), 1);
	for (int i = 0; i < 3; i++) {
		follower_begin(follower);
		ck_assert(!take(2, true, i > 0));
		ck_assert(follower_end(follower));
	}
	follower_begin(follower);
	ck_assert(take(2, false, true));
	ck_assert(take(3, false, true));
	ck_assert(follower_end(follower));
	ck_assert_uint_eq(follower_since(follower), 2);
	follower_begin(follower);
	ck_assert(!take(3, false, true));
	ck_assert(follower_end(follower));
	follower_free(follower);
}
END_TEST

START_TEST(a_stack_may_be_late_but_not_for_ever)
{
	follower = follower_new();
	follower_begin(follower);
	ck_assert(!take(1, false, false));
	ck_assert(follower_end(follower));
	follower_begin(follower);
	ck_assert(take(1, false, true));
	ck_assert(!take(2, false, false));
	ck_assert(follower_end(follower));
	for (int i = 1; i < FOLLOWER_PATIENCE; i++) {
		ck_assert_uint_eq(follower_since(follower), 1);
		follower_begin(follower);
		ck_assert(!take(2, false, false));
		ck_assert(follower_end(follower));
	}
	follower_begin(follower);
	ck_assert(take(2, false, false));
	ck_assert(follower_end(follower));
	follower_free(follower);
}
END_TEST

START_TEST(a_daemon_that_was_started_anew_is_told_by_the_newest_stall)
{
	struct stall other = {.id = 5, .started_unix_ns = 77};

	follower = follower_new();
	follower_begin(follower);
	ck_assert(take(5, false, true));
	ck_assert(follower_end(follower));
	/* Nothing from 5 on. */
	follower_begin(follower);
	ck_assert(!follower_end(follower));
	ck_assert_uint_eq(follower_since(follower), 0);
	follower_begin(follower);
	ck_assert(take(1, false, true));
	ck_assert(take(5, false, true));
	ck_assert(follower_end(follower));
	/* Another one of that number. */
	follower_begin(follower);
	ck_assert(!follower_take(follower, &other));
	ck_assert(!follower_end(follower));
	/* The newest has made room for later ones: no other daemon. */
	follower_begin(follower);
	ck_assert(take(5, false, true));
	ck_assert(follower_end(follower));
	follower_begin(follower);
	ck_assert(take(1200, false, true));
	ck_assert(follower_end(follower));
	follower_free(follower);
}
END_TEST

/* --- JSON and text --- */

static const char one[] =
	"{\"id\":7,\"groupname\":\"web\",\"loop\":\"main\",\"pid\":4711,\"tid\":4711,"
	"\"started\":\"2026-01-31T10:00:00.123Z\",\"seconds\":1.02,\"open\":false,"
	"\"cause\":\"blocked\",\"system_call\":\"fsync\",\"shares\":{\"blocked\":1},"
	"\"stack\":[{\"lang\":\"native\",\"function\":\"fsync\",\"module\":"
	"\"/lib/libc.so.6\",\"offset\":\"0x10\"},{\"lang\":\"js\",\"function\":\"save\","
	"\"file\":\"/srv/app.js\",\"line\":12},{\"lang\":\"js\",\"file\":"
	"\"/srv/a\\u001b\\u202eb.js\",\"line\":1}],\"stack_id\":\"9f3a\",\"samples\":3}";

/* The text of a stall in JSON; caller frees. */
static char *
print(const char *json, bool colour)
{
	const struct style style = {.columns = 80, .colour = colour};
	json_t *object = json_loads(json, 0, NULL);
	struct stall stall;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(object);
	ck_assert_ptr_nonnull(out);
	ck_assert_int_eq(stall_json_read(object, &stall), 0);
	stall_text_print(&stall, &style, out);
	ck_assert_int_eq(fclose(out), 0);
	stall_sample_fini(&stall.sample);
	json_decref(object);
	return text;
}

START_TEST(a_stall_is_a_line_and_its_stack_with_the_guilty_frame_marked)
{
	char *text = print(one, false);

	ck_assert_str_eq(text,
		"2026-01-31 12:00:00.123    1.02 s  web, main, process 4711  asleep in "
		"fsync()\n"
		"     fsync (libc.so.6)\n"
		"   > save (/srv/app.js:12)\n"
		"     /srv/a?\?\?\?b.js:1\n");
	free(text);
	text = print(one, true);
	ck_assert_ptr_nonnull(
		strstr(text, "\n   \033[1m> save (/srv/app.js:12)\033[0m\n"));
	free(text);
}
END_TEST

START_TEST(what_is_missing_is_explained)
{
	char *text =
		print("{\"id\":1,\"groupname\":\"g\",\"loop\":\"l\",\"seconds\":0.06,"
		      "\"started\":\"2026-01-31T10:00:00Z\",\"open\":true,"
		      "\"cause\":\"unknown\",\"missing\":\"it has a SIGURG handler of "
		      "its own\"}",
			false);

	ck_assert_str_eq(text,
		"2026-01-31 12:00:00.000     60 ms  g, l  cause unknown, still open\n"
		"     (no stack: it has a SIGURG handler of its own)\n");
	free(text);
	text = print("{\"id\":1,\"groupname\":\"g\",\"loop\":\"l\",\"seconds\":0.06,"
		     "\"started\":\"2026-01-31T10:00:00Z\",\"open\":false,"
		     "\"cause\":\"cpu\",\"late\":true,\"stack\":[{\"lang\":\"js\","
		     "\"file\":\"/a.js\",\"line\":2}]}",
		false);
	ck_assert_ptr_nonnull(strstr(text, "taken when the native call had returned"));
	free(text);
}
END_TEST

START_TEST(what_is_no_stall_is_refused)
{
	static const char *const wrong[] = {"{}", "[]",
		"{\"id\":1,\"groupname\":\"g\",\"loop\":\"l\",\"seconds\":1}",
		"{\"id\":0,\"groupname\":\"g\",\"loop\":\"l\",\"seconds\":1,"
		"\"started\":\"2026-01-31T10:00:00Z\"}",
		"{\"id\":1,\"groupname\":3,\"loop\":\"l\",\"seconds\":1,"
		"\"started\":\"2026-01-31T10:00:00Z\"}",
		"{\"id\":1,\"groupname\":\"g\",\"loop\":\"l\",\"seconds\":-1,"
		"\"started\":\"2026-01-31T10:00:00Z\"}",
		"{\"id\":1,\"groupname\":\"g\",\"loop\":\"l\",\"seconds\":1,"
		"\"started\":\"now\"}"};
	struct stall stall;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		json_t *object = json_loads(wrong[i], 0, NULL);

		ck_assert_ptr_nonnull(object);
		ck_assert_msg(stall_json_read(object, &stall) == -EINVAL, "%s", wrong[i]);
		json_decref(object);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("stalls_verb");
	TCase *tcase = tcase_create("stalls_verb");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, begin, NULL);
	tcase_add_test(tcase, moments_are_taken_in_all_their_forms);
	tcase_add_test(tcase, what_is_no_moment_is_refused);
	tcase_add_test(tcase, a_moment_is_shown_in_local_time);
	tcase_add_test(tcase, a_stall_is_shown_when_it_opens_and_when_it_has_ended);
	tcase_add_test(tcase, a_stack_may_be_late_but_not_for_ever);
	tcase_add_test(tcase, a_daemon_that_was_started_anew_is_told_by_the_newest_stall);
	tcase_add_test(
		tcase, a_stall_is_a_line_and_its_stack_with_the_guilty_frame_marked);
	tcase_add_test(tcase, what_is_missing_is_explained);
	tcase_add_test(tcase, what_is_no_stall_is_refused);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
