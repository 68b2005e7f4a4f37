/* SPDX-License-Identifier: MIT */
/* daemon/status.c and daemon/notify.c: what a service manager hears. */

#include "config.h"

#include "daemon/status.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/notify.h"

#define HEARD_BYTES 256

static struct event_loop *loop;
static struct event_watch *watch;
static struct status *status;
static struct status_figures figures;
static char directory[] = "/tmp/looplag-check.XXXXXX";
static struct sockaddr_un address;
static int manager;
static unsigned signs_of_life;
static char heard[HEARD_BYTES]; /* last */

/* Hear all that was said; count signs of life, and stop the loop at the third. */
static void
hear(void *arg)
{
	char words[HEARD_BYTES];
	ssize_t size;

	while ((size = recv(manager, words, sizeof(words) - 1, MSG_DONTWAIT)) >= 0) {
		words[size] = '\0';
		if (strcmp(words, "WATCHDOG=1") != 0)
			strcpy(heard, words);
		else if (++signs_of_life == 3)
			event_loop_stop(loop);
	}
}

static struct status_figures
find_figures(void *arg)
{
	return figures;
}

/* Be a service manager. */
static void
set_up(void)
{
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", directory);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(manager, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	figures = (struct status_figures){.groups = 1, .loops = 2};
	heard[0] = '\0';
	signs_of_life = 0;
	loop = event_loop_new();
	watch = event_readable(loop, manager, hear, NULL);
	ck_assert_ptr_nonnull(watch);
}

static void
begin(void)
{
	status = status_new(loop, find_figures, NULL);
	ck_assert_ptr_nonnull(status);
}

static void
tear_down(void)
{
	status_free(status);
	status = NULL;
	event_watch_free(watch);
	event_loop_free(loop);
	close(manager);
	unlink(address.sun_path);
	rmdir(directory);
	unsetenv("NOTIFY_SOCKET");
}

START_TEST(figures_are_told_in_words)
{
	char words[STATUS_BYTES];

	status_words(&(struct status_figures){0}, words);
	ck_assert_str_eq(words, "0 groups, 0 loops, 0 stalled");
	status_words(&(struct status_figures){1, 1, 1}, words);
	ck_assert_str_eq(words, "1 group, 1 loop, 1 stalled");
	status_words(&(struct status_figures){SIZE_MAX, SIZE_MAX, SIZE_MAX}, words);
	ck_assert_int_lt((int)strlen(words), STATUS_BYTES - 1);
}
END_TEST

#ifdef HAVE_SYSTEMD
START_TEST(ready_comes_with_the_figures_of_that_moment)
{
	begin();
	hear(NULL);
	ck_assert_str_eq(heard, "");
	status_ready(status);
	hear(NULL);
	ck_assert_str_eq(heard, "READY=1\nSTATUS=1 group, 2 loops, 0 stalled");
	notify_reloading();
	hear(NULL);
	ck_assert_ptr_nonnull(strstr(heard, "RELOADING=1\nMONOTONIC_USEC="));
	figures.stalled = 1;
	status_ready(status);
	hear(NULL);
	ck_assert_str_eq(heard, "READY=1\nSTATUS=1 group, 2 loops, 1 stalled");
}
END_TEST

START_TEST(the_turning_loop_is_a_sign_of_life)
{
	setenv("WATCHDOG_USEC", "40000", 1);
	begin();
	ck_assert_int_eq(event_loop_run(loop), 0);
	ck_assert_uint_eq(signs_of_life, 3);
}
END_TEST

START_TEST(no_sign_of_life_is_given_that_nobody_wants)
{
	ck_assert_uint_eq(notify_watchdog_ns(), 0);
	setenv("WATCHDOG_USEC", "40000", 1);
	ck_assert_uint_eq(notify_watchdog_ns(), 40000000);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_uint_eq(notify_watchdog_ns(), 0);
}
END_TEST
#endif

int
main(void)
{
	Suite *suite = suite_create("status");
	TCase *tcase = tcase_create("status");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, figures_are_told_in_words);
#ifdef HAVE_SYSTEMD
	tcase_add_test(tcase, ready_comes_with_the_figures_of_that_moment);
	tcase_add_test(tcase, the_turning_loop_is_a_sign_of_life);
	tcase_add_test(tcase, no_sign_of_life_is_given_that_nobody_wants);
#endif
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
