/* SPDX-License-Identifier: MIT */
/* Quotas: nobody has more than a share, nobody takes all, and what is given back is there
 * again. */

#include "config.h"

#include "daemon/quota.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <check.h>

#define SECOND 1000000000ull
#define ALICE 1001
#define BOB 1002

static struct quota *quota;

static void
set_up(void)
{
	quota = quota_new();
	ck_assert_ptr_nonnull(quota);
	quota_set_total(quota, QUOTA_LOOPS, 1000000);
}

static void
tear_down(void)
{
	quota_free(quota);
}

/* How many the user gets before it is refused, and why. */
static unsigned
take_all(uid_t uid, enum quota_held what, int *ret_why)
{
	unsigned count = 0;

	while ((*ret_why = quota_take(quota, uid, what, 1)) == 0)
		count++;
	return count;
}

static unsigned
do_all(uid_t uid, enum quota_done what, uint64_t now_ns)
{
	unsigned count = 0;

	while (quota_do(quota, uid, what, now_ns) == 0)
		count++;
	return count;
}

START_TEST(a_user_has_a_share_and_another_one_too)
{
	int why;
	unsigned share = take_all(ALICE, QUOTA_LOOPS, &why);

	ck_assert_int_eq(why, -EDQUOT);
	ck_assert_uint_ge(share, 1000);
	ck_assert_uint_eq(take_all(BOB, QUOTA_LOOPS, &why), share);
	ck_assert_int_eq(why, -EDQUOT);
	ck_assert_int_eq(quota_take(quota, ALICE, QUOTA_GROUPS, 1), 0);
}
END_TEST

START_TEST(what_is_given_back_is_there_again)
{
	int why;
	unsigned share = take_all(ALICE, QUOTA_LOOPS, &why);

	quota_return(quota, ALICE, QUOTA_LOOPS, 10);
	ck_assert_int_eq(quota_take(quota, ALICE, QUOTA_LOOPS, 11), -EDQUOT);
	ck_assert_uint_eq(take_all(ALICE, QUOTA_LOOPS, &why), 10);
	quota_return(quota, ALICE, QUOTA_LOOPS, share);
	ck_assert_uint_eq(take_all(ALICE, QUOTA_LOOPS, &why), share);
}
END_TEST

START_TEST(nobody_has_more_than_is_left)
{
	unsigned before = 101;
	int why;

	quota_set_total(quota, QUOTA_LOOPS, 100);
	for (uid_t uid = 1; uid < 6; uid++) {
		unsigned count = take_all(uid, QUOTA_LOOPS, &why);

		ck_assert_uint_gt(count, 0);
		ck_assert_uint_lt(count, before);
		ck_assert_int_eq(why, -EDQUOT);
		before = count;
	}
}
END_TEST

START_TEST(root_and_our_own_user_have_all_that_is_left)
{
	const uid_t users[] = {0, geteuid()};
	int why;

	quota_set_total(quota, QUOTA_LOOPS, 5000);
	ck_assert_uint_lt(take_all(ALICE, QUOTA_LOOPS, &why), 5000);
	for (int i = 0; i < 2; i++) {
		unsigned count = take_all(users[i], QUOTA_LOOPS, &why);

		ck_assert_uint_gt(count, 100);
		ck_assert_int_eq(why, -ENOSPC);
		ck_assert_int_eq(quota_take(quota, BOB, QUOTA_LOOPS, 1), -ENOSPC);
		quota_return(quota, users[i], QUOTA_LOOPS, count);
	}
}
END_TEST

START_TEST(a_thousand_services_of_one_user_fit)
{
	for (int i = 0; i < 1000; i++) {
		ck_assert_int_eq(quota_take(quota, ALICE, QUOTA_SEGMENTS, 1), 0);
		ck_assert_int_eq(quota_take(quota, ALICE, QUOTA_LOOPS, 4), 0);
		ck_assert_int_eq(quota_do(quota, ALICE, QUOTA_HANDSHAKES, SECOND), 0);
		ck_assert_int_eq(quota_do(quota, ALICE, QUOTA_LOOKUPS, SECOND), 0);
	}
}
END_TEST

START_TEST(a_burst_and_then_so_much_a_second)
{
	unsigned burst = do_all(ALICE, QUOTA_HANDSHAKES, SECOND), more;

	ck_assert_uint_ge(burst, 1000);
	ck_assert_uint_eq(do_all(ALICE, QUOTA_HANDSHAKES, SECOND), 0);
	ck_assert_uint_eq(do_all(BOB, QUOTA_HANDSHAKES, SECOND), burst);
	more = do_all(ALICE, QUOTA_HANDSHAKES, 2 * SECOND);
	ck_assert_uint_gt(more, 100);
	ck_assert_uint_lt(more, burst);
	ck_assert_uint_eq(do_all(ALICE, QUOTA_HANDSHAKES, 4 * SECOND), 2 * more);
	ck_assert_uint_eq(do_all(ALICE, QUOTA_HANDSHAKES, 1000 * SECOND), burst);
	ck_assert_uint_gt(do_all(0, QUOTA_HANDSHAKES, 1000 * SECOND), burst);
}
END_TEST

START_TEST(what_is_owed_has_to_be_waited_for)
{
	unsigned burst = do_all(ALICE, QUOTA_LOOKUPS, SECOND), more;

	more = do_all(ALICE, QUOTA_LOOKUPS, 2 * SECOND);
	quota_owe(quota, ALICE, QUOTA_LOOKUPS, 3 * more);
	ck_assert_uint_eq(do_all(ALICE, QUOTA_LOOKUPS, 5 * SECOND), 0);
	ck_assert_uint_eq(do_all(ALICE, QUOTA_LOOKUPS, 6 * SECOND), more);
	ck_assert_uint_eq(do_all(ALICE, QUOTA_LOOKUPS, 1000 * SECOND), burst);
}
END_TEST

START_TEST(time_that_goes_back_gives_nothing)
{
	(void)do_all(ALICE, QUOTA_HANDSHAKES, 1000 * SECOND);
	ck_assert_uint_eq(do_all(ALICE, QUOTA_HANDSHAKES, SECOND), 0);
	ck_assert_uint_eq(do_all(ALICE, QUOTA_HANDSHAKES, 0), 0);
}
END_TEST

START_TEST(users_beyond_the_table_share_one_quota)
{
	unsigned share, rest;
	int why;

	share = take_all(ALICE, QUOTA_LOOPS, &why);
	for (uid_t uid = 2000; uid < 2000 + QUOTA_USERS - 1; uid++)
		ck_assert_int_eq(quota_take(quota, uid, QUOTA_GROUPS, 0), 0);
	for (uid_t uid = 2000; uid < 2000 + QUOTA_USERS - 1; uid++)
		ck_assert_int_eq(quota_take(quota, uid, QUOTA_LOOPS, 1), 0);
	rest = take_all(100000, QUOTA_LOOPS, &why);
	ck_assert_uint_eq(rest, share);
	ck_assert_uint_eq(take_all(100001, QUOTA_LOOPS, &why), 0);
	/* An entry that comes free is for nobody who has taken from the shared one. */
	quota_return(quota, 2000, QUOTA_LOOPS, 1);
	ck_assert_uint_eq(take_all(100000, QUOTA_LOOPS, &why), 0);
	quota_return(quota, 100000, QUOTA_LOOPS, rest);
	ck_assert_uint_eq(take_all(100000, QUOTA_LOOPS, &why), share);
	ck_assert_uint_eq(take_all(100001, QUOTA_LOOPS, &why), share);
}
END_TEST

START_TEST(random_takes_and_returns_add_up)
{
	static unsigned held[50];
	unsigned seed = 1, all = 0;

	quota_set_total(quota, QUOTA_LOOPS, 3000);
	for (int n = 0; n < 100000; n++) {
		unsigned uid = (unsigned)rand_r(&seed) % 50;
		unsigned count = (unsigned)rand_r(&seed) % 20;

		if (rand_r(&seed) & 1) {
			if (quota_take(quota, 5000 + uid, QUOTA_LOOPS, count))
				continue;
			held[uid] += count;
			all += count;
		} else {
			count = count < held[uid] ? count : held[uid];
			quota_return(quota, 5000 + uid, QUOTA_LOOPS, count);
			held[uid] -= count;
			all -= count;
		}
		ck_assert_uint_le(all, 3000);
	}
	for (unsigned uid = 0; uid < 50; uid++)
		quota_return(quota, 5000 + uid, QUOTA_LOOPS, held[uid]);
	ck_assert_int_eq(quota_take(quota, 0, QUOTA_LOOPS, 3000), 0);
}
END_TEST

START_TEST(without_a_quota_nobody_has_a_limit)
{
	ck_assert_int_eq(quota_take(NULL, ALICE, QUOTA_SERIES, UINT32_MAX), 0);
	quota_return(NULL, ALICE, QUOTA_SERIES, 1);
	quota_owe(NULL, ALICE, QUOTA_LOOKUPS, 1000000);
	ck_assert_int_eq(quota_do(NULL, ALICE, QUOTA_LOOKUPS, 0), 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("quota");
	TCase *tcase = tcase_create("quota");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_user_has_a_share_and_another_one_too);
	tcase_add_test(tcase, what_is_given_back_is_there_again);
	tcase_add_test(tcase, nobody_has_more_than_is_left);
	tcase_add_test(tcase, root_and_our_own_user_have_all_that_is_left);
	tcase_add_test(tcase, a_thousand_services_of_one_user_fit);
	tcase_add_test(tcase, a_burst_and_then_so_much_a_second);
	tcase_add_test(tcase, what_is_owed_has_to_be_waited_for);
	tcase_add_test(tcase, time_that_goes_back_gives_nothing);
	tcase_add_test(tcase, users_beyond_the_table_share_one_quota);
	tcase_add_test(tcase, random_takes_and_returns_add_up);
	tcase_add_test(tcase, without_a_quota_nobody_has_a_limit);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
