/* SPDX-License-Identifier: MIT */
/* Identity: what /proc says, read rightly, also when it says something odd. */

#include "config.h"

#include "daemon/identity.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

static char name[IDENTITY_NAME_BYTES];

static void
ck_unit(const char *cgroups, const char *unit)
{
	strcpy(name, "untouched");
	if (unit) {
		ck_assert_int_eq(identity_unit_in(cgroups, name), 0);
		ck_assert_str_eq(name, unit);
	} else {
		ck_assert_int_eq(identity_unit_in(cgroups, name), -ENOENT);
		ck_assert_str_eq(name, "untouched");
	}
}

START_TEST(the_unit_is_the_deepest_service)
{
	ck_unit("0::/system.slice/redis-server.service\n", "redis-server.service");
	ck_unit("0::/system.slice/redis-server.service", "redis-server.service");
	ck_unit("0::/system.slice/system-web.slice/web@1.service/sub\n", "web@1.service");
	ck_unit("0::/system.slice/a.service/b.service/x.scope\n", "b.service");
	ck_unit("0::/user.slice/user-1000.slice/user@1000.service/app.slice/"
		"app.service\n",
		"app.service");
	ck_unit("0::/system.slice/useradd@x.service\n", "useradd@x.service");
	ck_unit("0::/../../system.slice/a.service\n", "a.service");
}
END_TEST

static void
ck_manager(const char *cgroups, int uid)
{
	uid_t found = 42;

	ck_assert_int_eq(identity_manager_in(cgroups, &found), uid < 0 ? -ENOENT : 0);
	ck_assert_int_eq((int)found, uid < 0 ? 42 : uid);
}

START_TEST(the_units_of_a_users_manager_are_known_as_such)
{
	ck_manager("0::/user.slice/user-1000.slice/user@1000.service/app.slice/"
		   "nginx.service\n",
		1000);
	ck_manager(
		"3:cpu:/\n1:name=systemd:/user@7.service/a.service/b.scope\n0::/\n", 7);
	ck_manager("0::/system.slice/nginx.service\n", -1);
	ck_manager("0::/system.slice/nginx.service\n1:name=systemd:/user@7.service/"
		   "a.service",
		-1);
	ck_manager("0::/user.slice/user@1000.service/init.scope\n", -1);
	ck_manager("0::/system.slice/user@x.service/a.service\n", -1);
	ck_manager("", -1);
}
END_TEST

START_TEST(the_older_hierarchy_is_asked_where_the_new_one_knows_nothing)
{
	ck_unit("4:memory:/x\n1:name=systemd:/system.slice/nginx.service\n0::/\n",
		"nginx.service");
	ck_unit("1:name=systemd:/system.slice/old.service\n0::/system.slice/"
		"new.service\n",
		"new.service");
	ck_unit("12:cpu:/system.slice/not.service\n1:name=systemd:/\n0::/\n", NULL);
	ck_unit("10::/system.slice/not.service\n", NULL);
}
END_TEST

START_TEST(what_is_no_service_gives_no_unit)
{
	ck_unit("", NULL);
	ck_unit("\n", NULL);
	ck_unit("0::", NULL);
	ck_unit("0::/\n", NULL);
	ck_unit("0::/user.slice/user-0.slice/session-1.scope\n", NULL);
	ck_unit("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", NULL);
	ck_unit("0::/system.slice/.service\n", NULL);
	ck_unit("0::/system.slice/docker-0123.scope\n", NULL);
	ck_unit("garbage without colons", NULL);
}
END_TEST

START_TEST(a_unit_name_too_long_is_none)
{
	char line[1000] = "0::/";

	memset(line + 4, 'a', 600);
	strcpy(line + 604, ".service\n");
	ck_unit(line, NULL);
}
END_TEST

static void
ck_clean(const char *dirty, const char *clean)
{
	identity_clean(dirty, strlen(dirty), name);
	ck_assert_str_eq(name, clean);
}

START_TEST(names_become_valid_labels)
{
	ck_clean("web", "web");
	ck_clean("", "");
	ck_clean("a \"b\" {c=\\d}", "a \"b\" {c=\\d}");
	ck_clean("two\nlines\t", "two_lines_");
	ck_clean("\x7f", "_");
	ck_clean("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
	ck_clean("\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac\xf0\x9f\x98\x80");
	ck_clean("\xff\xfe", "__");
	ck_clean("\xc3", "_");
	ck_clean("\xc0\xaf", "__");
	ck_clean("\xe0\x80\xaf", "___");
	ck_clean("\xed\xa0\x80", "___");
	ck_clean("\xf4\x90\x80\x80", "____");
	ck_clean("\xf0\x80\x80\x80", "____");
	ck_clean("\xe2\x82", "__");
}
END_TEST

START_TEST(names_are_cut_at_their_size_and_at_a_characters_border)
{
	char letters[600];

	identity_clean("a\xc2\x85"
		       "b\u2028c\u202ed\u2066e\ufefff\u200eg",
		64, name);
	ck_assert_str_eq(name, "a_b_c_d_e_f_g");
	identity_clean("\xc2\xa0\u2027\u2030\uff0a", 64, name);
	ck_assert_str_eq(name, "\xc2\xa0\u2027\u2030\uff0a");
	identity_clean("abcdef", 3, name);
	ck_assert_str_eq(name, "abc");
	identity_clean("ab\0cd", 5, name);
	ck_assert_str_eq(name, "ab");
	identity_clean("\xc3\xbc", 1, name);
	ck_assert_str_eq(name, "_");
	memset(letters, 'x', sizeof(letters));
	identity_clean(letters, sizeof(letters), name);
	ck_assert_uint_eq(strlen(name), IDENTITY_NAME_BYTES - 1);
	letters[0] = 'x';
	for (size_t i = 1; i + 1 < sizeof(letters); i += 2)
		memcpy(letters + i, "\xc3\xbc", 2);
	identity_clean(letters, sizeof(letters), name);
	ck_assert_uint_eq(strlen(name), IDENTITY_NAME_BYTES - 1);
	letters[1] = 'x';
	for (size_t i = 2; i + 1 < sizeof(letters); i += 2)
		memcpy(letters + i, "\xc3\xbc", 2);
	identity_clean(letters, sizeof(letters), name);
	ck_assert_uint_eq(strlen(name), IDENTITY_NAME_BYTES - 2);
}
END_TEST

START_TEST(thread_names_lose_their_numbers)
{
	static const char *const cases[][2] = {
		{"worker-3", "worker"},
		{"redis-io_thd_2", "redis-io_thd"},
		{"main", "main"},
		{"pool #12", "pool"},
		{"kworker/0", "kworker"},
		{"42", "42"},
		{"", ""},
		{"-7", "-7"},
		{"http2", "http"},
		{"tokio-runtime-w", "tokio-runtime-w"},
		{"a1b2", "a1b"},
		{"x - 1", "x"},
		{"1a", "1a"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(name, cases[i][0]);
		identity_trim(name);
		ck_assert_str_eq(name, cases[i][1]);
	}
}
END_TEST

START_TEST(the_start_time_is_found_behind_any_command_name)
{
	static const char tail[] =
		" S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 9 9";
	static const char *const commands[] = {
		"cat", "a b", "(((", ")) 1 2 3", "a) S 1 1 1"};
	char stat[200];
	uint64_t ticks;

	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		snprintf(stat, sizeof(stat), "77 (%s)%s", commands[i], tail);
		ck_assert_int_eq(identity_start_in(stat, &ticks), 0);
		ck_assert_uint_eq(ticks, 12345);
	}
	ck_assert_int_eq(identity_start_in("", &ticks), -EINVAL);
	ck_assert_int_eq(identity_start_in("77 (cat) S 1 2", &ticks), -EINVAL);
}
END_TEST

static void
ck_cgroup(const char *cgroups, const char *path)
{
	char found[IDENTITY_CGROUP_BYTES];

	ck_assert_int_eq(identity_cgroup_in(cgroups, found), 0);
	ck_assert_str_eq(found, path);
}

START_TEST(the_control_group_is_that_of_the_host_as_far_as_it_can_be_seen)
{
	ck_cgroup("0::/a.slice/b\n", "/a.slice/b");
	ck_cgroup("0::/\n", "/");
	ck_cgroup("", "/");
	ck_cgroup("0::/../../a.slice/b\n", "/a.slice/b");
	ck_cgroup("0::/..\n", "/");
	ck_cgroup("0::/../..\n", "/");
	ck_cgroup("0::/..a/b\n", "/..a/b");
}
END_TEST

START_TEST(a_users_manager_is_known_by_the_path)
{
	ck_assert(identity_is_of_user("/user.slice/user@1000.service/app.slice/x"));
	ck_assert(!identity_is_of_user("/user.slice/user-1000.slice/session-1.scope"));
	ck_assert(!identity_is_of_user("/system.slice/user@me.service/x"));
}
END_TEST

START_TEST(who_has_several_numbers_is_nested)
{
	ck_assert(
		!identity_is_nested_in("Name:\tx\nPid:\t7\nNSpid:\t7\nNSpgid:\t7\t1\n"));
	ck_assert(identity_is_nested_in("Name:\tx\nNSpid:\t7\t7\nNSpgid:\t7\n"));
	ck_assert(identity_is_nested_in("Name:\tx\nNSpid:\t7\t12\t1"));
	/* Before Linux 4.1. */
	ck_assert(!identity_is_nested_in("Name:\tx\nPid:\t7\n"));
	ck_assert(!identity_is_nested(getpid()));
	ck_assert(!identity_is_nested(0));
	ck_assert_int_eq(identity_check_proc(), 0);
}
END_TEST

START_TEST(clock_offsets_are_read)
{
	int64_t ns = 0;

	ck_assert_int_eq(identity_offset_in("monotonic           0         0\n"
					    "boottime            0         0\n",
				 &ns),
		0);
	ck_assert_int_eq(ns, 0);
	ck_assert_int_eq(
		identity_offset_in("monotonic 100000 5\nboottime 1 1\n", &ns), 0);
	ck_assert_int_eq(ns, 100000000000005);
	ck_assert_int_eq(identity_offset_in("monotonic -3 500000000\n", &ns), 0);
	ck_assert_int_eq(ns, -2500000000);
	ck_assert_int_eq(identity_offset_in("", &ns), -EINVAL);
	ck_assert_int_eq(identity_offset_in("monotonic", &ns), -EINVAL);
	ck_assert_int_eq(
		identity_offset_in("monotonic 9223372036854775807 0", &ns), -EINVAL);
	ck_assert_int_eq(identity_offset_in("monotonic 0 -1", &ns), -EINVAL);
}
END_TEST

static void *
thread_main(void *arg)
{
	pid_t *tid = arg;

	prctl(PR_SET_NAME, "io-thread-7");
	__atomic_store_n(tid, (pid_t)syscall(SYS_gettid), __ATOMIC_RELEASE);
	pause();
	return NULL;
}

START_TEST(a_living_process_is_known)
{
	struct identity_thread thread;
	uint64_t age, start, again;
	pthread_t handle;
	pid_t tid = 0;
	int64_t shift;

	prctl(PR_SET_NAME, "check \"me\"");
	ck_assert_int_eq(identity_command(getpid(), name), 0);
	ck_assert_str_eq(name, "check \"me\"");
	ck_assert_int_eq(identity_age(getpid(), &age, &start), 0);
	ck_assert_uint_lt(age, 600000000000u);
	ck_assert_int_eq(identity_age(getpid(), &age, &again), 0);
	ck_assert_uint_eq(start, again);
	ck_assert_int_eq(identity_clock_shift(getpid(), &shift), 0);
	ck_assert_int_eq(shift, 0);

	ck_assert_int_eq(pthread_create(&handle, NULL, thread_main, &tid), 0);
	while (!__atomic_load_n(&tid, __ATOMIC_ACQUIRE))
		usleep(100);
	ck_assert_int_eq(identity_thread(getpid(), true, tid, &thread), 0);
	ck_assert_int_eq(thread.tgid, getpid());
	ck_assert_uint_eq(thread.uid, geteuid());
	ck_assert(!thread.is_main);
	ck_assert_str_eq(thread.name, "io-thread-7");
	/* As if it lived in another namespace, which happens to count as we do. */
	ck_assert_int_eq(identity_thread(getpid(), false, tid, &thread), 0);
	ck_assert_str_eq(thread.name, "io-thread-7");
	ck_assert_int_eq(identity_thread(getpid(), false, 1, &thread), -ENOENT);
	ck_assert_int_eq(identity_thread(getpid(), true, getpid(), &thread), 0);
	ck_assert(thread.is_main);
	ck_assert_int_eq(thread.tgid, getpid());
}
END_TEST

START_TEST(a_dead_process_is_not_known)
{
	struct identity_thread thread;
	uint64_t age, start;
	pid_t pid = fork();
	int64_t shift;

	if (pid == 0)
		_exit(0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert_int_lt(identity_command(pid, name), 0);
	ck_assert_int_lt(identity_unit(pid, name), 0);
	ck_assert_int_lt(identity_age(pid, &age, &start), 0);
	ck_assert_int_lt(identity_clock_shift(pid, &shift), 0);
	ck_assert_int_lt(identity_thread(pid, true, pid, &thread), 0);
	ck_assert_int_lt(identity_thread(pid, false, pid, &thread), 0);
	ck_assert_int_lt(identity_is_epoll(pid, 0), 0);
}
END_TEST

START_TEST(a_number_is_a_processs_until_it_is_reaped)
{
	pid_t pid = fork();
	int pidfd;

	if (pid == 0)
		_exit(0);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	ck_assert_int_ge(pidfd, 0);
	ck_assert(identity_is_current(pidfd, pid));
	ck_assert(!identity_is_current(pidfd, getpid()));
	ck_assert(!identity_is_current(-1, pid));
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	ck_assert(!identity_is_current(pidfd, pid));
	close(pidfd);
}
END_TEST

START_TEST(an_epoll_instance_is_told_from_other_descriptors)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), other = memfd_create("x", MFD_CLOEXEC);

	ck_assert_int_eq(identity_is_epoll(getpid(), epoll), 1);
	ck_assert_int_eq(identity_is_epoll(getpid(), other), 0);
	close(epoll);
	ck_assert_int_eq(identity_is_epoll(getpid(), epoll), 0);
	close(other);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("identity");
	TCase *tcase = tcase_create("identity");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, the_unit_is_the_deepest_service);
	tcase_add_test(tcase, the_units_of_a_users_manager_are_known_as_such);
	tcase_add_test(
		tcase, the_older_hierarchy_is_asked_where_the_new_one_knows_nothing);
	tcase_add_test(tcase, what_is_no_service_gives_no_unit);
	tcase_add_test(tcase, a_unit_name_too_long_is_none);
	tcase_add_test(tcase, names_become_valid_labels);
	tcase_add_test(tcase, names_are_cut_at_their_size_and_at_a_characters_border);
	tcase_add_test(tcase, thread_names_lose_their_numbers);
	tcase_add_test(tcase, the_start_time_is_found_behind_any_command_name);
	tcase_add_test(
		tcase, the_control_group_is_that_of_the_host_as_far_as_it_can_be_seen);
	tcase_add_test(tcase, a_users_manager_is_known_by_the_path);
	tcase_add_test(tcase, who_has_several_numbers_is_nested);
	tcase_add_test(tcase, clock_offsets_are_read);
	tcase_add_test(tcase, a_living_process_is_known);
	tcase_add_test(tcase, a_dead_process_is_not_known);
	tcase_add_test(tcase, a_number_is_a_processs_until_it_is_reaped);
	tcase_add_test(tcase, an_epoll_instance_is_told_from_other_descriptors);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
