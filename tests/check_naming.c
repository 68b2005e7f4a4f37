/* SPDX-License-Identifier: MIT */
/* Names of real processes: by rules and without, and who has chosen them. */

#include "config.h"

#include "daemon/naming.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/configuration.h"
#include "daemon/event.h"
#include "daemon/users.h"
#include "tests/held_memory.h"

#define SECOND 1000000000ull

static struct configuration *config;
static struct naming naming;
static struct reception_guest guest;
static char name[IDENTITY_NAME_BYTES];
static bool given;
static int guest_input = -1; /* nothing comes from there */

static void
set_rules(const char *text)
{
	configuration_free(config);
	config = NULL;
	ck_assert_int_eq(
		configuration_parse(text, strlen(text), "rules", stderr, &config), 0);
	naming.rules = config->rules;
	naming.rule_count = config->rule_count;
}

/* A process that waits, called "FIRST -c read x SECOND". */
static void
start(const char *first, const char *second)
{
	int pipes[2], input[2];
	char byte;
	pid_t pid;

	ck_assert_int_eq(pipe2(pipes, O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(input, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		dup2(input[0], STDIN_FILENO);
		execl("/bin/sh", first, "-c", "read x", second, NULL);
		_exit(1);
	}
	close(input[0]);
	guest_input = input[1];
	close(pipes[1]);
	/* It has become the other program when its end of the pipe is closed. */
	ck_assert_int_eq(read(pipes[0], &byte, 1), 0);
	close(pipes[0]);
	guest = (struct reception_guest){.fd = -1, .pid = pid, .uid = getuid()};
	guest.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
}

static void
end(void)
{
	if (guest.pid > 0) {
		kill(guest.pid, SIGKILL);
		waitpid(guest.pid, NULL, 0);
	}
	if (guest.pidfd >= 0)
		close(guest.pidfd);
	if (guest_input >= 0)
		close(guest_input);
	guest_input = -1;
	guest.pid = 0;
	guest.pidfd = -1;
}

static void
set_up(void)
{
	naming = (struct naming){.own_groupname = "looplagd", .ignore_units = true};
	guest = (struct reception_guest){.fd = -1, .pidfd = -1};
}

static void
tear_down(void)
{
	end();
	configuration_free(config);
	config = NULL;
}

/* Ask until there is an answer. */
static void
ask(void)
{
	struct naming_query *query = naming_ask(&naming, &guest, event_now_ns());
	uint64_t until_ns = event_now_ns() + 20 * SECOND;

	while (!naming_answer(&naming, query, event_now_ns(), name, &given))
		ck_assert_uint_lt(event_now_ns(), until_ns);
	naming_free(query);
}

START_TEST(a_process_is_named_by_its_arguments)
{
	set_rules("groups: [{name: 'shop-${1}', arguments: 'shop .* --name=(.*)'}]");
	start("shop", "--name=a b");
	ask();
	ck_assert_str_eq(name, "shop-a b");
	ck_assert(!given);
}
END_TEST

START_TEST(a_name_of_the_rule_alone_is_given)
{
	set_rules("groups: [{name: shop, arguments: 'shop .*', command: sh}]");
	start("shop", "x");
	ask();
	ck_assert_str_eq(name, "shop");
	ck_assert(given);
}
END_TEST

START_TEST(a_user_is_called_as_the_kernel_and_the_list_of_users_say)
{
	char user[USERS_NAME_BYTES];

	users_name(getuid(), user);
	set_rules("groups: [{name: 'of-${user}', user: '.*'}]");
	start("shop", "x");
	ask();
	ck_assert_int_eq(strncmp(name, "of-", 3), 0);
	ck_assert_str_eq(name + 3, user);
	ck_assert(given);
	guest.uid = 4000000000u;
	ask();
	ck_assert_str_eq(name, "of-4000000000");
}
END_TEST

START_TEST(who_chooses_the_name_of_another_is_told_apart)
{
	char expected[IDENTITY_NAME_BYTES];
	const char *const wishes[] = {"jobs", "web-1", "x.service", "looplagd"};

	set_rules("groups:\n"
		  "- {name: 'web-${1}', unit: 'web@(.*)\\.service'}\n"
		  "- {name: jobs, cgroup: /jobs}\n"
		  "- {name: '${1}', arguments: 'shop -c read x (.*)'}\n");
	for (size_t i = 0; i < sizeof(wishes) / sizeof(wishes[0]); i++) {
		start("shop", wishes[i]);
		ask();
		snprintf(expected, sizeof(expected), "%s@%u", wishes[i],
			(unsigned)getuid());
		ck_assert_str_eq(name, expected);
		ck_assert(!given);
		end();
	}
	start("shop", "mine");
	ask();
	ck_assert_str_eq(name, "mine");
	end();
	/* The same for a wish. */
	start("other", "x");
	strcpy(guest.hello.group, "web-1");
	ask();
	snprintf(expected, sizeof(expected), "web-1@%u", (unsigned)getuid());
	ck_assert_str_eq(name, expected);
}
END_TEST

START_TEST(of_a_process_that_is_gone_its_own_word_must_do)
{
	set_rules("groups: [{name: x, arguments: '.*'}, {name: y, command: '.*'}]");
	start("shop", "x");
	kill(guest.pid, SIGKILL);
	waitpid(guest.pid, NULL, 0);
	guest.gone = true;
	strcpy(guest.hello.exe, "shop");
	ask();
	ck_assert_str_eq(name, "shop");
	ck_assert(!given);
	guest.pid = 0;
}
END_TEST

START_TEST(long_arguments_are_cut_off)
{
	char long_word[4096];

	memset(long_word, 'x', sizeof(long_word) - 1);
	long_word[sizeof(long_word) - 1] = 0;
	set_rules("groups: [{name: cut, arguments: 'a -c read x x*'}]");
	start("a", long_word);
	ask();
	ck_assert_str_eq(name, "cut");
}
END_TEST

START_TEST(many_are_asked_for_at_once)
{
	struct naming_query *queries[100];
	/* For them it stays that time: a busy machine is not to be too late. */
	uint64_t asked_ns = event_now_ns(), until_ns = asked_ns + 20 * SECOND;

	set_rules("groups: [{name: 'n-${1}', arguments: 'many .* ([a-z]*)'}]");
	start("many", "x");
	for (size_t i = 0; i < 100; i++)
		queries[i] = naming_ask(&naming, &guest, asked_ns);
	for (size_t i = 0; i < 100; i++) {
		/* Some are not waited for. */
		while (i % 3 &&
			!naming_answer(&naming, queries[i], asked_ns, name, &given))
			ck_assert_uint_lt(event_now_ns(), until_ns);
		if (i % 3)
			ck_assert_str_eq(name, "n-x");
		else
			(void)naming_answer(&naming, queries[i], asked_ns, name, &given);
		naming_free(queries[i]);
	}
}
END_TEST

START_TEST(who_makes_readers_wait_is_named_without_and_keeps_nobody_else_waiting)
{
	char directory[] = "/tmp/looplag-held-XXXXXX";
	struct naming_query *queries[20];
	struct reception_guest held = {.fd = -1, .pidfd = -1, .uid = getuid() + 1};
	uint64_t begun_ns;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	held.pid = held_memory_start(directory);
	rmdir(directory);
	if (held.pid < 0)
		return; /* without root, or FUSE */
	set_rules("groups:\n- {name: '${arguments}', arguments: '.*'}\n");
	strcpy(held.hello.group, "wish");
	/* More of them than there are threads for one user. */
	begun_ns = event_now_ns();
	for (size_t i = 0; i < 20; i++) {
		queries[i] = naming_ask(&naming, &held, begun_ns);
		ck_assert(!naming_answer(&naming, queries[i], begun_ns, name, &given));
	}
	ck_assert_uint_lt(event_now_ns() - begun_ns, SECOND);
	start("shop", "x");
	ask();
	ck_assert_str_eq(name, "shop -c read x x");
	ck_assert_uint_lt(event_now_ns() - begun_ns, 2 * SECOND);
	for (size_t i = 0; i < 20; i++) {
		ck_assert(!naming_answer(
			&naming, queries[i], begun_ns + SECOND, name, &given));
		ck_assert(naming_answer(
			&naming, queries[i], begun_ns + 3 * SECOND, name, &given));
		ck_assert_str_eq(name, "wish");
		ck_assert(!given);
		naming_free(queries[i]);
	}
	held_memory_end(held.pid);
}
END_TEST

static Suite *
naming_suite(void)
{
	Suite *suite = suite_create("naming");
	TCase *tcase = tcase_create("naming");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_process_is_named_by_its_arguments);
	tcase_add_test(tcase, a_name_of_the_rule_alone_is_given);
	tcase_add_test(tcase, a_user_is_called_as_the_kernel_and_the_list_of_users_say);
	tcase_add_test(tcase, who_chooses_the_name_of_another_is_told_apart);
	tcase_add_test(tcase, of_a_process_that_is_gone_its_own_word_must_do);
	tcase_add_test(tcase, long_arguments_are_cut_off);
	tcase_add_test(tcase, many_are_asked_for_at_once);
	tcase_add_test(tcase,
		who_makes_readers_wait_is_named_without_and_keeps_nobody_else_waiting);
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(naming_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
