/* SPDX-License-Identifier: MIT */
/* daemon/stall_log.c and stall_words.c: which entries a stall makes, when, and with what in
 * them. The journal here is a socket of ours. */

#include "config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/event.h"
#include "daemon/journal.h"
#include "daemon/stall_log.h"
#include "daemon/stall_words.h"
#include "daemon/stalls.h"

#define MS 1000000ull
#define ENTRY_BYTES 65536

static struct sockaddr_un address;
static char directory[] = "/tmp/looplag-check.XXXXXX";
static char entry[ENTRY_BYTES];
static int journal;
static struct event_loop *loop;
static struct stalls *stalls;
static struct stall_log *stall_log;

static void
begin(void)
{
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	address.sun_family = AF_UNIX;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	ck_assert_int_eq(bind(journal, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(journal_open(address.sun_path), 0);
	log_init(LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
	loop = event_loop_new();
	stalls = stalls_new();
	ck_assert_ptr_nonnull(stalls);
	stall_log = stall_log_new(loop, stalls);
	ck_assert_ptr_nonnull(stall_log);
}

static void
end(void)
{
	stall_log_free(stall_log);
	stalls_free(stalls);
	event_loop_free(loop);
	journal_close();
	close(journal);
	unlink(address.sun_path);
	rmdir(directory);
}

static uint64_t
open_stall(const char *groupname)
{
	struct stall stall = {.groupname = groupname,
		.loop = "main",
		.pid = 4711,
		.tid = 4712,
		.started_ns = event_now_ns(),
		.open = true};
	uint64_t id = stalls_open(stalls, &stall, 52 * MS);

	ck_assert_uint_ne(id, 0);
	return id;
}

static void
end_stall(uint64_t id)
{
	static const struct stalls_cause cause = {.cause = STALL_BLOCKED,
		.shares[STALL_BLOCKED] = 1,
		.system_call = "fsync"};

	stalls_end(stalls, id, 1020 * MS, &cause);
}

/* A Python frame and what it called. */
static void
add_sample(uint64_t id)
{
	struct stall_sample sample = {.taken_ns = 1, .count = 2};

	sample.frames = calloc(2, sizeof(*sample.frames));
	ck_assert_ptr_nonnull(sample.frames);
	sample.frames[0] = (struct stall_frame){.language = STALL_NATIVE,
		.function = strdup("fsync"),
		.module = strdup("/lib/libc.so.6")};
	sample.frames[1] = (struct stall_frame){.language = STALL_PYTHON,
		.function = strdup("save"),
		.file = strdup("/srv/app.py"),
		.line = 12};
	stalls_add_sample(stalls, id, &sample);
}

static void
stop_loop(void *arg)
{
	event_loop_stop(loop);
}

/* Let the loop run for so long. */
static void
turn(uint64_t for_ns)
{
	struct event_watch *timer = event_after(loop, for_ns, stop_loop, NULL);

	ck_assert_int_eq(event_loop_run(loop), 0);
	event_watch_free(timer);
}

/* The next entry, or an empty one. A stack's length is cut out of it. */
static const char *
next(void)
{
	ssize_t size = recv(journal, entry, sizeof(entry) - 1, 0);

	for (ssize_t i = 0; i < size; i++)
		if (!entry[i])
			entry[i] = '.';
	entry[size < 0 ? 0 : size] = '\0';
	return entry;
}

static void
assert_says(const char *part)
{
	ck_assert_msg(strstr(entry, part) != NULL, "no '%s' in:\n%s", part, entry);
}

START_TEST(a_stall_has_an_entry_when_it_is_found_and_one_with_all_when_it_has_ended)
{
	uint64_t id = open_stall("web");

	turn(5 * MS);
	next();
	assert_says("MESSAGE=loop main of web (process 4711) has been stuck for 52 ms\n");
	assert_says("MESSAGE_ID=" JOURNAL_STALL_BEGAN "\nPRIORITY=4\n");
	assert_says("LOOPLAG_GROUP=web\nLOOPLAG_LOOP=main\nLOOPLAG_PID=4711\n");
	assert_says("LOOPLAG_TID=4712\nLOOPLAG_STALL_ID=1\nLOOPLAG_STALL_USEC=52000\n");
	assert_says("LOOPLAG_CAUSE=unknown\n");
	add_sample(id);
	turn(5 * MS);
	ck_assert_str_eq(next(), "");
	end_stall(id);
	turn(5 * MS);
	next();
	assert_says(
		"MESSAGE=loop main of web (process 4711) was stuck for 1.02 s, asleep "
		"in fsync(), in save (/srv/app.py:12)\n");
	assert_says("MESSAGE_ID=" JOURNAL_STALL_ENDED "\nPRIORITY=6\n");
	assert_says("LOOPLAG_STALL_USEC=1020000\nLOOPLAG_CAUSE=blocked\n");
	assert_says("LOOPLAG_SYSCALL=fsync\nLOOPLAG_STACK_ID=");
	assert_says("fsync (libc.so.6)\nsave (/srv/app.py:12)\n");
	turn(5 * MS);
	ck_assert_str_eq(next(), "");
}
END_TEST

START_TEST(a_stall_that_is_over_when_it_is_found_has_one_entry)
{
	end_stall(open_stall("web"));
	turn(5 * MS);
	ck_assert_str_eq(next(), "");
	turn(600 * MS);
	next();
	assert_says("MESSAGE_ID=" JOURNAL_STALL_ENDED "\n");
	ck_assert_str_eq(next(), "");
}
END_TEST

START_TEST(a_stack_is_waited_for_after_the_end)
{
	uint64_t id = open_stall("web");

	turn(5 * MS);
	next();
	end_stall(id);
	turn(50 * MS);
	ck_assert_str_eq(next(), "");
	add_sample(id);
	turn(5 * MS);
	next();
	assert_says("in save (/srv/app.py:12)\n");
}
END_TEST

START_TEST(a_stack_that_never_comes_is_not_waited_for_for_ever)
{
	uint64_t id = open_stall("web");

	turn(5 * MS);
	next();
	end_stall(id);
	turn(700 * MS);
	next();
	assert_says(
		"MESSAGE=loop main of web (process 4711) was stuck for 1.02 s, asleep "
		"in fsync()\n");
	ck_assert_ptr_null(strstr(entry, "LOOPLAG_STACK"));
}
END_TEST

START_TEST(what_waits_is_written_at_the_end_of_the_daemon)
{
	end_stall(open_stall("web"));
	stall_log_free(stall_log);
	stall_log = NULL;
	next();
	assert_says("MESSAGE_ID=" JOURNAL_STALL_ENDED "\n");
}
END_TEST

START_TEST(a_storm_in_one_group_is_cut_short_and_hides_no_other_group)
{
	unsigned entries = 0;
	uint64_t id;

	for (int i = 0; i < 100; i++) {
		id = open_stall("storm");
		turn(0);
		end_stall(id);
		add_sample(id);
		turn(0);
		while (*next())
			entries++;
	}
	/* Ten stalls with two entries each, and some more if this took seconds. */
	ck_assert_uint_ge(entries, 20);
	ck_assert_uint_le(entries, 60);
	open_stall("web");
	turn(5 * MS);
	next();
	assert_says("LOOPLAG_GROUP=web\n");
	turn(1100 * MS);
	open_stall("storm");
	turn(5 * MS);
	next();
	assert_says("more stalls of this group, left out)\n");
	ck_assert_uint_ge(strtoul(strstr(entry, "LOOPLAG_LEFT_OUT=") + 17, NULL, 10), 70);
}
END_TEST

START_TEST(names_from_strangers_stay_inside_the_message)
{
	static const struct stall stall = {.groupname = "a\nb",
		.loop = "x\x1b[31m",
		.length_ns = 3 * MS,
		.cause = STALL_CPU};
	char words[4 * STALL_WORDS_BYTES];

	ck_assert_str_eq(stall_words_all(&stall, words),
		"loop x?[31m of a?b was stuck for 3 ms, running");
}
END_TEST

START_TEST(a_frame_is_told_by_what_is_known_of_it)
{
	char name[] = "f", path[] = "/a/b.js", module[] = "/usr/bin/redis-server";
	struct stall_frame frame = {
		.language = STALL_JS, .function = name, .file = path, .line = 3};
	char words[STALL_WORDS_BYTES];

	ck_assert_str_eq(stall_words_frame(&frame, words), "f (/a/b.js:3)");
	frame.function = NULL;
	ck_assert_str_eq(stall_words_frame(&frame, words), "/a/b.js:3");
	frame = (struct stall_frame){.module = module, .offset = 0x1234};
	ck_assert_str_eq(stall_words_frame(&frame, words), "redis-server+0x1234");
	frame.function = name;
	ck_assert_str_eq(stall_words_frame(&frame, words), "f (redis-server)");
	frame = (struct stall_frame){.offset = 0x1234};
	ck_assert_str_eq(stall_words_frame(&frame, words), "code made at run time");
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("stall_log");
	TCase *tcase = tcase_create("stall_log");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tcase, begin, end);
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase,
		a_stall_has_an_entry_when_it_is_found_and_one_with_all_when_it_has_ended);
	tcase_add_test(tcase, a_stall_that_is_over_when_it_is_found_has_one_entry);
	tcase_add_test(tcase, a_stack_is_waited_for_after_the_end);
	tcase_add_test(tcase, a_stack_that_never_comes_is_not_waited_for_for_ever);
	tcase_add_test(tcase, what_waits_is_written_at_the_end_of_the_daemon);
	tcase_add_test(tcase, a_storm_in_one_group_is_cut_short_and_hides_no_other_group);
	tcase_add_test(tcase, names_from_strangers_stay_inside_the_message);
	tcase_add_test(tcase, a_frame_is_told_by_what_is_known_of_it);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
