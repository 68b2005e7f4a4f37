/* SPDX-License-Identifier: MIT */
/* Users and passwords: who is let in, what is remembered, and how long it takes to say no. */

#include "config.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/credentials.h"
#include "daemon/event.h"
#include "daemon/web_config.h"

/* Of "secret"; takes some milliseconds. */
#define SECRET "$2b$06$c4zRJbAvfVePcolTgPe9IOfk/iJrE7CY.lZxm8itjM6vpjZuo1Lym"
#define WAITING_MAX 32

static struct event_loop *loop;
static struct event_watch *deadline;
static struct credentials *credentials;
static int told, told_good;

static void
give_up(void *arg)
{
	ck_abort_msg("nobody was told in ten seconds");
}

static void
set_up(void)
{
	loop = event_loop_new();
	deadline = event_after(loop, 10000000000, give_up, NULL);
	credentials = credentials_new(loop);
	ck_assert_ptr_nonnull(credentials);
	told = told_good = 0;
}

static void
tear_down(void)
{
	credentials_free(credentials);
	event_watch_free(deadline);
	event_loop_free(loop);
}

static void
set_user(const char *name, const char *hash)
{
	struct web_config_user user = {.name = (char *)(uintptr_t)name};

	snprintf(user.hash, sizeof(user.hash), "%s", hash);
	ck_assert_int_eq(credentials_set(credentials, &user, 1), 0);
}

static void
tell(void *arg, bool good)
{
	told++;
	told_good += good;
	if (arg && told == *(int *)arg)
		event_loop_stop(loop);
}

/* What becomes of that header, in the end. */
static bool
is_good(const char *authorization)
{
	int one = 1;

	told = told_good = 0;
	switch (credentials_check(credentials, authorization, tell, &one)) {
	case CREDENTIALS_GOOD:
		return true;
	case CREDENTIALS_LATER:
		ck_assert_int_eq(event_loop_run(loop), 0);
		ck_assert_int_eq(told, 1);
		return told_good;
	default:
		return false;
	}
}

/* Whether it is known at once. */
static enum credentials_verdict
check(const char *authorization)
{
	return credentials_check(credentials, authorization, tell, NULL);
}

#define ALICE_SECRET "Basic YWxpY2U6c2VjcmV0"
#define ALICE_WRONG "Basic YWxpY2U6d3Jvbmc="
#define ALICE_SECRE "Basic YWxpY2U6c2VjcmU="
#define ALICE_SECRETX "Basic YWxpY2U6c2VjcmV0eA=="
#define BOB_SECRET "Basic Ym9iOnNlY3JldA=="

START_TEST(without_users_nobody_is_asked)
{
	ck_assert(!credentials_wanted(credentials));
	set_user("alice", SECRET);
	ck_assert(credentials_wanted(credentials));
	ck_assert_int_eq(credentials_set(credentials, NULL, 0), 0);
	ck_assert(!credentials_wanted(credentials));
}
END_TEST

START_TEST(the_right_password_is_good_and_others_are_not)
{
	set_user("alice", SECRET);
	ck_assert(is_good(ALICE_SECRET));
	ck_assert(is_good("bAsIc YWxpY2U6c2VjcmV0"));
	ck_assert(!is_good(ALICE_WRONG));
	ck_assert(!is_good(ALICE_SECRE));
	ck_assert(!is_good(ALICE_SECRETX));
	ck_assert(!is_good(BOB_SECRET));
	ck_assert(is_good(ALICE_SECRET));
}
END_TEST

START_TEST(what_is_no_basic_authentication_is_bad_at_once)
{
	static const char *const bad[] = {NULL, "", "Basic", "Basic ", "Basic !",
		"Bearer YWxpY2U6c2VjcmV0", "Basic YWxpY2U6c2VjcmV",
		"Basic YWxpY2U6c2VjcmV0=", "Basic YWxpY2U6c2VjcmV0 ",
		"Basic  YWxpY2U6c2VjcmV0", "Basic YWxpY2U=", "Basic ====",
		"Basic YWxp===Y2U6", /* "alice:sec\0ret" */
		"Basic YWxpY2U6c2VjAHJldA=="};

	set_user("alice", SECRET);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(check(bad[i]) == CREDENTIALS_BAD, "%s", bad[i]);
}
END_TEST

START_TEST(a_password_that_was_right_is_known_at_once)
{
	set_user("alice", SECRET);
	ck_assert(is_good(ALICE_SECRET));
	ck_assert_int_eq(check(ALICE_SECRET), CREDENTIALS_GOOD);
	ck_assert_int_eq(check(ALICE_WRONG), CREDENTIALS_LATER);
	ck_assert_int_eq(check(BOB_SECRET), CREDENTIALS_LATER);
}
END_TEST

START_TEST(it_is_known_no_more_when_the_hash_has_changed)
{
	char other[] = SECRET;

	set_user("alice", SECRET);
	ck_assert(is_good(ALICE_SECRET));
	set_user("alice", SECRET);
	ck_assert_int_eq(check(ALICE_SECRET), CREDENTIALS_GOOD);
	other[strlen(other) - 1] = 'X';
	set_user("alice", other);
	ck_assert(!is_good(ALICE_SECRET));
	set_user("alice", SECRET);
	ck_assert_int_eq(check(ALICE_SECRET), CREDENTIALS_LATER);
}
END_TEST

START_TEST(who_is_struck_off_while_he_waits_is_not_let_in)
{
	int one = 1;

	set_user("alice", SECRET);
	ck_assert_int_eq(credentials_check(credentials, ALICE_SECRET, tell, &one),
		CREDENTIALS_LATER);
	set_user("bob", SECRET);
	ck_assert_int_eq(event_loop_run(loop), 0);
	ck_assert_int_eq(told_good, 0);
}
END_TEST

START_TEST(few_may_wait)
{
	int all = WAITING_MAX;

	set_user("alice", SECRET);
	for (int i = 0; i < all; i++)
		ck_assert_int_eq(credentials_check(credentials,
					 i % 2 ? ALICE_WRONG : BOB_SECRET, tell, &all),
			CREDENTIALS_LATER);
	ck_assert_int_eq(check(ALICE_SECRET), CREDENTIALS_BUSY);
	ck_assert_int_eq(event_loop_run(loop), 0);
	ck_assert_int_eq(told, all);
	ck_assert_int_eq(told_good, 0);
	ck_assert(is_good(ALICE_SECRET));
}
END_TEST

START_TEST(who_is_known_does_not_wait_behind_who_is_not)
{
	set_user("alice", SECRET);
	ck_assert(is_good(ALICE_SECRET));
	for (int i = 0; i < WAITING_MAX; i++)
		ck_assert_int_eq(check(BOB_SECRET), CREDENTIALS_LATER);
	ck_assert_int_eq(check(ALICE_SECRET), CREDENTIALS_GOOD);
}
END_TEST

/* On the processor, in all threads: what others do there does not count. */
static uint64_t
used_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

static uint64_t
time_of(const char *authorization)
{
	uint64_t began = used_ns();

	ck_assert(!is_good(authorization));
	return used_ns() - began;
}

/* The shortest of many is what it takes on a machine that has nothing else to do. */
START_TEST(an_unknown_user_takes_as_long_as_a_wrong_password)
{
	uint64_t unknown = UINT64_MAX, wrong = UINT64_MAX;

	set_user("alice", SECRET);
	for (int i = 0; i < 50; i++) {
		uint64_t a = time_of(BOB_SECRET), b = time_of(ALICE_WRONG);

		unknown = a < unknown ? a : unknown;
		wrong = b < wrong ? b : wrong;
	}
	ck_assert_uint_lt(unknown, wrong * 3 / 2);
	ck_assert_uint_lt(wrong, unknown * 3 / 2);
}
END_TEST

START_TEST(who_waits_at_the_end_is_not_told)
{
	set_user("alice", SECRET);
	for (int i = 0; i < WAITING_MAX; i++)
		ck_assert_int_eq(check(ALICE_SECRET), CREDENTIALS_LATER);
	credentials_free(credentials);
	credentials = NULL;
	ck_assert_int_eq(told, 0);
}
END_TEST

static Suite *
credentials_suite(void)
{
	Suite *suite = suite_create("credentials");
	TCase *all = tcase_create("all");

	tcase_add_checked_fixture(all, set_up, tear_down);
	tcase_add_test(all, without_users_nobody_is_asked);
	tcase_add_test(all, the_right_password_is_good_and_others_are_not);
	tcase_add_test(all, what_is_no_basic_authentication_is_bad_at_once);
	tcase_add_test(all, a_password_that_was_right_is_known_at_once);
	tcase_add_test(all, it_is_known_no_more_when_the_hash_has_changed);
	tcase_add_test(all, who_is_struck_off_while_he_waits_is_not_let_in);
	tcase_add_test(all, few_may_wait);
	tcase_add_test(all, who_is_known_does_not_wait_behind_who_is_not);
	tcase_add_test(all, an_unknown_user_takes_as_long_as_a_wrong_password);
	tcase_add_test(all, who_waits_at_the_end_is_not_told);
	suite_add_tcase(suite, all);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(credentials_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
