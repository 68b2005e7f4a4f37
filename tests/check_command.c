/* SPDX-License-Identifier: MIT */
/* cli/command.c; how commands are executed is seen in the end-to-end tests. */

#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"

static char directory[] = "/tmp/check_command.XXXXXX";
static char found[PATH_MAX];

/* The path of a file in the test's directory, borrowed until the next call. */
static const char *
path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static void
put_file(const char *name, mode_t mode)
{
	int fd = open(path_of(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static void
make_directory(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	put_file("program", 0755);
	put_file("data", 0644);
}

static void
remove_directory(void)
{
	unlink(path_of("program"));
	unlink(path_of("data"));
	rmdir(directory);
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
}

/* Look for a command in /nonexistent, here, and the test's directory. */
static int
find(const char *command)
{
	char search[PATH_MAX];

	snprintf(search, sizeof search, "/nonexistent::%s", directory);
	return command_find(command, search, found);
}

START_TEST(a_name_is_looked_for_in_all_directories)
{
	ck_assert_int_eq(find("program"), 0);
	ck_assert_str_eq(found, path_of("program"));
	ck_assert_int_eq(find("missing"), -ENOENT);
	ck_assert_int_eq(find(""), -ENOENT);
}
END_TEST

START_TEST(an_empty_entry_is_the_current_directory)
{
	ck_assert_int_eq(chdir(directory), 0);
	ck_assert_int_eq(find("program"), 0);
	ck_assert_str_eq(found, "./program");
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(a_path_is_taken_as_it_is)
{
	ck_assert_int_eq(command_find(path_of("program"), "", found), 0);
	ck_assert_str_eq(found, path_of("program"));
	ck_assert_int_eq(command_find(path_of("missing"), "", found), -ENOENT);
}
END_TEST

START_TEST(what_may_not_be_run_is_told_if_nothing_else_is_found)
{
	ck_assert_int_eq(find("data"), -EACCES);
	ck_assert_int_eq(command_find(directory, "", found), -EACCES);
}
END_TEST

START_TEST(without_a_path_the_system_has_one)
{
	ck_assert_int_eq(command_find("sh", NULL, found), 0);
}
END_TEST

START_TEST(names_that_fit_no_path_are_not_found)
{
	static char long_name[PATH_MAX + 10];

	memset(long_name, 'x', sizeof long_name - 1);
	ck_assert_int_eq(find(long_name), -ENOENT);
	long_name[PATH_MAX - 5] = '\0';
	ck_assert_int_eq(find(long_name), -ENOENT);
	long_name[0] = '/';
	ck_assert_int_eq(find(long_name), -ENOENT);
}
END_TEST

static Suite *
command_suite(void)
{
	Suite *suite = suite_create("command");
	TCase *tests = tcase_create("find");

	tcase_add_checked_fixture(tests, make_directory, remove_directory);
	tcase_add_test(tests, a_name_is_looked_for_in_all_directories);
	tcase_add_test(tests, an_empty_entry_is_the_current_directory);
	tcase_add_test(tests, a_path_is_taken_as_it_is);
	tcase_add_test(tests, what_may_not_be_run_is_told_if_nothing_else_is_found);
	tcase_add_test(tests, without_a_path_the_system_has_one);
	tcase_add_test(tests, names_that_fit_no_path_are_not_found);
	suite_add_tcase(suite, tests);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(command_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
