/* SPDX-License-Identifier: MIT */
/* cli/preload.c. */

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

#include "cli/preload.h"

static char root[] = "/tmp/check_preload.XXXXXX";
static char found[PATH_MAX];

static const char *
path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", root, name);
	return path;
}

static void
put_library(const char *name)
{
	int fd = open(path_of(name), O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void
make_tree(void)
{
	ck_assert_ptr_nonnull(mkdtemp(root));
	ck_assert_int_eq(mkdir(path_of(".libs"), 0755), 0);
	ck_assert_int_eq(mkdir(path_of("a blank"), 0755), 0);
}

static void
remove_tree(void)
{
	unlink(path_of(".libs/liblooplag.so"));
	unlink(path_of("a blank/liblooplag.so"));
	unlink(path_of("mine.so"));
	rmdir(path_of(".libs"));
	rmdir(path_of("a blank"));
	rmdir(root);
	strcpy(root + strlen(root) - 6, "XXXXXX");
}

START_TEST(a_build_tree_uses_its_own_library)
{
	put_library(".libs/liblooplag.so");
	ck_assert_int_eq(preload_find(path_of("looplag"), NULL, found), 0);
	ck_assert_str_eq(found, path_of(".libs/liblooplag.so"));
	ck_assert_int_eq(preload_find(path_of(".libs/looplag"), NULL, found), 0);
	ck_assert_str_eq(found, path_of(".libs/liblooplag.so"));
}
END_TEST

START_TEST(elsewhere_the_installed_library_is_meant)
{
	int r = preload_find(path_of("looplag"), NULL, found);

	ck_assert_str_eq(found, LIBDIR "/liblooplag.so");
	ck_assert_int_eq(r, access(found, R_OK) ? -ENOENT : 0);
}
END_TEST

START_TEST(an_override_wins_and_is_made_absolute)
{
	put_library(".libs/liblooplag.so");
	put_library("mine.so");
	ck_assert_int_eq(chdir(root), 0);
	ck_assert_int_eq(preload_find(path_of("looplag"), "mine.so", found), 0);
	ck_assert_str_eq(found, path_of("mine.so"));
	ck_assert_int_eq(preload_find(path_of("looplag"), "missing.so", found), -ENOENT);
	ck_assert_str_eq(found, "missing.so");
	ck_assert_int_eq(preload_find(path_of("looplag"), "", found), 0);
	ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

START_TEST(a_path_that_the_loader_would_split_is_refused)
{
	put_library("a blank/liblooplag.so");
	ck_assert_int_eq(
		preload_find("/x", path_of("a blank/liblooplag.so"), found), -EINVAL);
}
END_TEST

/* preload_append() must give that. */
static void
assert_appended(const char *existing, const char *expected)
{
	char *value = preload_append(existing, "/lib/l.so");

	ck_assert_str_eq(value, expected);
	free(value);
}

START_TEST(what_was_preloaded_stays_first)
{
	assert_appended(NULL, "/lib/l.so");
	assert_appended("", "/lib/l.so");
	assert_appended("libjemalloc.so", "libjemalloc.so:/lib/l.so");
	assert_appended("a.so b.so", "a.so b.so:/lib/l.so");
}
END_TEST

START_TEST(the_library_is_preloaded_once)
{
	assert_appended("/lib/l.so", "/lib/l.so");
	assert_appended("a.so /lib/l.so:b.so", "a.so /lib/l.so:b.so");
	assert_appended("::/lib/l.so", "::/lib/l.so");
	assert_appended("/lib/l.so.1", "/lib/l.so.1:/lib/l.so");
}
END_TEST

static Suite *
preload_suite(void)
{
	Suite *suite = suite_create("preload");
	TCase *find = tcase_create("find"), *append = tcase_create("append");

	tcase_add_checked_fixture(find, make_tree, remove_tree);
	tcase_add_test(find, a_build_tree_uses_its_own_library);
	tcase_add_test(find, elsewhere_the_installed_library_is_meant);
	tcase_add_test(find, an_override_wins_and_is_made_absolute);
	tcase_add_test(find, a_path_that_the_loader_would_split_is_refused);
	suite_add_tcase(suite, find);
	tcase_add_test(append, what_was_preloaded_stays_first);
	tcase_add_test(append, the_library_is_preloaded_once);
	suite_add_tcase(suite, append);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(preload_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
