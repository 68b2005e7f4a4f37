/* SPDX-License-Identifier: MIT */
/* The collector from end to end, with real processes whose loops the test writes. */

#include "config.h"

#include "daemon/collector.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include "daemon/event.h"
#include "daemon/groups.h"
#include "tests/segment_writer.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define DEADLINE_NS (20 * SECOND)

static char directory[32], path[64], doorbell[64];
static struct event_loop *loop;
static struct collector *collector;
static int listener;

static void
open_collector(void)
{
	struct collector_options options = {
		.socket = listener, .doorbell_path = doorbell, .own_groupname = "myself"};

	ck_assert_int_eq(collector_open(loop, &options, &collector), 0);
}

static void
set_up(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	strcpy(directory, "collector-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/sock", directory);
	snprintf(doorbell, sizeof(doorbell), "%s/doorbell", directory);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	strcpy(address.sun_path, path);
	ck_assert_int_eq(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(listener, 4096), 0);
	loop = event_loop_new();
	ck_assert_ptr_nonnull(loop);
	open_collector();
}

static void
tear_down(void)
{
	collector_close(collector);
	event_loop_free(loop);
	close(listener);
	unlink(path);
	unlink(doorbell);
	rmdir(directory);
}

/* What a scrape shows of all series of a group; counters must never go back. */
struct shown {
	uint64_t iterations, active_ns, life_ns, max_ns;
	double active, idle, half_squares, bucket;
	unsigned processes, loops, open;
};

static struct shown last_shown;

static struct shown
scrape(const char *groupname)
{
	struct shown shown = {0};
	struct groups *groups;

	collector_read(collector);
	groups = collector_groups(collector);
	for (size_t i = 0; i < groups_count(groups); i++) {
		struct group_view group = groups_view(groups, i);

		if (strcmp(group.groupname, groupname) != 0)
			continue;
		shown.processes = group.processes;
		shown.loops = group.loops;
		for (size_t j = 0; j < group.series_count; j++) {
			struct series_view view = groups_series_view(groups, i, j);
			static const double limit = 0.1;
			double bucket;

			series_delay_buckets(&view, view.total, &limit, 1, &bucket);
			shown.bucket += bucket;
			shown.active += series_active_seconds(&view, view.total);
			shown.idle += series_idle_seconds(&view, view.total);
			shown.half_squares += series_half_squares(&view, view.total);
			shown.iterations += view.total->iterations;
			shown.active_ns += view.total->active_ns;
			shown.life_ns += view.total->life_ns;
			shown.open += (unsigned)view.open_count;
			if (view.total->max_ns > shown.max_ns)
				shown.max_ns = view.total->max_ns;
		}
	}
	return shown;
}

/* The same of the writers' group. */
static struct shown
show(void)
{
	struct shown shown = scrape("writer");

	ck_assert_uint_ge(shown.iterations, last_shown.iterations);
	ck_assert_uint_ge(shown.life_ns, last_shown.life_ns);
	ck_assert_double_ge(shown.active, last_shown.active);
	ck_assert_double_ge(shown.idle, last_shown.idle);
	ck_assert_double_ge(shown.half_squares, last_shown.half_squares);
	ck_assert_double_ge(shown.bucket, last_shown.bucket);
	last_shown = shown;
	return shown;
}

static bool (*wanted)(void);
static bool reached;

static void
look(void *arg)
{
	reached = wanted();
	if (reached || writer_now_ns() > *(uint64_t *)arg)
		event_loop_stop(loop);
}

/* Run until something is so. Returns whether it came to that. */
static bool
run_until(bool (*condition)(void))
{
	uint64_t deadline = writer_now_ns() + DEADLINE_NS;
	struct event_watch *watch = event_every(loop, MS, look, &deadline);

	wanted = condition;
	reached = false;
	ck_assert_int_eq(event_loop_run(loop), 0);
	event_watch_free(watch);
	return reached;
}

static uint64_t expected;

static bool
targets_are_there(void)
{
	return collector_stats(collector).targets >= expected;
}

static void
run_until_targets(uint64_t count)
{
	expected = count;
	ck_assert(run_until(targets_are_there));
}

static bool
nobody_lives(void)
{
	struct shown shown = show();

	return shown.processes == 0 && shown.loops == 0;
}

static bool
time_has_come(void)
{
	return writer_now_ns() >= expected;
}

static void
run_for(uint64_t ns)
{
	expected = writer_now_ns() + ns;
	ck_assert(run_until(time_has_come));
}

static uint64_t
refused(void)
{
	struct collector_stats stats = collector_stats(collector);
	uint64_t sum = 0;

	for (int i = 0; i < COLLECTOR_REASONS; i++)
		sum += stats.rejected[i];
	return sum;
}

static bool
all_are_refused(void)
{
	return refused() >= expected;
}

static struct writer
start(void)
{
	struct writer writer = writer_make();
	uint64_t before = collector_stats(collector).targets;

	writer_start(&writer, path, "writer");
	run_until_targets(before + 1);
	return writer;
}

START_TEST(a_target_and_its_loops_are_seen)
{
	struct writer writer = start();
	struct shown shown = show();
	uint64_t life_ns;

	/* Without a loop it is no group yet. */
	ck_assert_uint_eq(shown.processes, 0);
	ck_assert_uint_eq(groups_count(collector_groups(collector)), 0);
	writer_begin(&writer, 0, 0, -1);
	for (int i = 0; i < 100; i++)
		writer_iterate(&writer, 0, 100000);
	shown = show();
	life_ns = writer_now_ns() - writer.slots[0].born_ns;
	ck_assert_uint_eq(shown.processes, 1);
	ck_assert_uint_eq(shown.loops, 1);
	ck_assert_uint_eq(shown.iterations, 100);
	ck_assert_uint_eq(shown.active_ns, writer.slots[0].active_ns);
	ck_assert_uint_eq(shown.max_ns, writer.slots[0].max_ns);
	ck_assert_uint_le(shown.life_ns, life_ns);
	ck_assert_uint_ge(
		shown.life_ns, writer.slots[0].last_ns - writer.slots[0].born_ns);
	ck_assert_uint_eq(collector_stats(collector).waits, 100);
	writer_free(&writer);
}
END_TEST

START_TEST(groups_are_named_by_wish_and_else_by_command)
{
	struct writer wish = writer_make(), own = writer_make();
	struct segment_hello hello;
	struct groups *groups;

	strcpy(wish.header->group, "my \"group\"");
	wish.header->runtime = SEGMENT_RUNTIME_V8;
	writer_start(&wish, path, "writer");
	hello = writer_hello(&own);
	close(writer_send(path, &hello, sizeof(hello), own.fd, 1));
	run_until_targets(2);
	writer_begin(&wish, 0, 0, -1);
	writer_begin(&own, 0, 0, -1);
	ck_assert_uint_eq(scrape("my \"group\"").processes, 1);
	ck_assert_uint_eq(scrape("myself").processes, 1);
	groups = collector_groups(collector);
	ck_assert_uint_eq(groups_count(groups), 2);
	for (size_t i = 0; i < 2; i++) {
		struct group_view view = groups_view(groups, i);

		if (strcmp(view.groupname, "myself") == 0)
			ck_assert_ptr_null(view.runtime);
		else
			ck_assert_str_eq(view.runtime, "node");
	}
	writer_free(&wish);
	writer_free(&own);
}
END_TEST

START_TEST(loops_are_named_by_thread_or_label)
{
	struct writer writer = start();
	struct groups *groups;
	struct series_view view;

	writer_thread(&writer, 1, "io-pool_12");
	writer_begin(&writer, 0, 0, -1);
	writer_begin(&writer, 1, 1, -1);
	writer_begin(&writer, 2, 1, -1);
	strcpy(writer.slots[2].label, "render");
	collector_read(collector);
	groups = collector_groups(collector);
	ck_assert_uint_eq(groups_view(groups, 0).series_count, 3);
	view = groups_series_view(groups, 0, 0);
	ck_assert_str_eq(view.loop, "main");
	view = groups_series_view(groups, 0, 1);
	ck_assert_str_eq(view.loop, "io-pool");
	view = groups_series_view(groups, 0, 2);
	ck_assert_str_eq(view.loop, "render");
	writer_free(&writer);
}
END_TEST

/* Turns so short that no copy is ever of one moment. */
static void *
spin(void *arg)
{
	struct writer *writer = arg;

	while (!__atomic_load_n(&writer->header->reserved[0], __ATOMIC_RELAXED))
		writer_iterate(writer, 0, 0);
	return NULL;
}

static uint64_t last_iterations;

static bool
more_iterations_are_counted(void)
{
	return show().iterations > last_iterations;
}

START_TEST(a_loop_that_is_written_to_all_the_time_is_seen)
{
	struct writer writer = start();
	pthread_t thread;

	writer_begin(&writer, 0, 0, -1);
	ck_assert_int_eq(pthread_create(&thread, NULL, spin, &writer), 0);
	for (int i = 0; i < 5; i++) {
		last_iterations = show().iterations;
		ck_assert(run_until(more_iterations_are_counted));
	}
	__atomic_store_n(&writer.header->reserved[0], 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(show().iterations, writer.slots[0].iterations);
	ck_assert_uint_eq(show().loops, 1);
	writer_free(&writer);
}
END_TEST

START_TEST(a_slot_whose_writer_stopped_in_it_is_seen)
{
	struct writer writer = start();

	writer_begin(&writer, 0, 0, -1);
	for (int i = 0; i < 3; i++)
		writer_iterate(&writer, 0, MS);
	writer.slots[0].state = SEGMENT_ATTENDED | SEGMENT_RECORDING | 1;
	ck_assert_uint_eq(show().iterations, 3);
	ck_assert_uint_eq(show().loops, 1);
	writer_kill(&writer);
	ck_assert(run_until(nobody_lives));
	ck_assert_uint_eq(show().iterations, 3);
	writer_free(&writer);
}
END_TEST

START_TEST(an_iteration_that_lasts_is_seen_while_it_lasts)
{
	struct writer writer = start();
	struct shown shown;
	double active;

	writer_begin(&writer, 0, 0, -1);
	writer_wake(&writer, 0);
	run_for(50 * MS);
	shown = show();
	ck_assert_uint_eq(shown.open, 1);
	ck_assert_uint_eq(shown.iterations, 0);
	ck_assert_double_ge(shown.active, 0.05);
	active = shown.active;
	run_for(20 * MS);
	ck_assert_double_ge(show().active, active + 0.02);
	writer_wait(&writer, 0);
	shown = show();
	ck_assert_uint_eq(shown.open, 0);
	ck_assert_uint_eq(shown.iterations, 1);
	ck_assert_uint_eq(shown.active_ns, writer.slots[0].active_ns);
	writer_free(&writer);
}
END_TEST

START_TEST(the_counts_of_a_killed_process_stay)
{
	struct writer writer = start();
	struct shown before, after;

	writer_begin(&writer, 0, 0, -1);
	for (int i = 0; i < 10; i++)
		writer_iterate(&writer, 0, MS);
	writer_wake(&writer, 0);
	run_for(200 * MS);
	before = show();
	ck_assert_uint_eq(before.open, 1);
	writer_kill(&writer);
	ck_assert(run_until(nobody_lives));
	after = show();
	ck_assert_uint_eq(after.iterations, 11);
	ck_assert_uint_eq(after.open, 0);
	ck_assert_double_ge(after.active, before.active);
	ck_assert_uint_ge(after.max_ns, 200 * MS);
	run_for(50 * MS);
	ck_assert_uint_eq(show().life_ns, after.life_ns);
	writer_free(&writer);
}
END_TEST

START_TEST(a_process_that_was_gone_before_it_was_accepted_counts)
{
	struct writer writer = writer_make();

	writer_start(&writer, path, "writer");
	writer_begin(&writer, 0, 0, -1);
	for (int i = 0; i < 10; i++)
		writer_iterate(&writer, 0, MS);
	writer_kill(&writer);
	run_until_targets(1);
	ck_assert_uint_eq(show().iterations, 10);
	ck_assert_uint_eq(show().active_ns, writer.slots[0].active_ns);
	ck_assert_uint_eq(
		show().life_ns, writer.slots[0].last_ns - writer.slots[0].born_ns);
	ck_assert_uint_eq(show().processes, 0);
	ck_assert_uint_eq(show().loops, 0);
	writer_free(&writer);
}
END_TEST

START_TEST(a_hundred_processes_in_a_row_are_all_counted)
{
	uint64_t iterations = 0, active = 0, life = 0;

	for (int i = 0; i < 100; i++) {
		struct writer writer = writer_make();

		writer_start(&writer, path, "writer");
		writer_begin(&writer, 0, 0, -1);
		for (int j = 0; j < 20; j++) {
			writer_iterate(&writer, 0, 50000);
			if (j == i % 20)
				show();
		}
		writer_kill(&writer);
		run_until_targets((uint64_t)i + 1);
		iterations += 20;
		active += writer.slots[0].active_ns;
		life += writer.slots[0].last_ns - writer.slots[0].born_ns;
		writer_free(&writer);
	}
	ck_assert(run_until(nobody_lives));
	ck_assert_uint_eq(show().iterations, iterations);
	ck_assert_uint_eq(show().active_ns, active);
	ck_assert_uint_ge(show().life_ns, life);
}
END_TEST

START_TEST(a_forked_child_goes_on_when_its_parent_has_ended)
{
	struct writer writer = start();
	pid_t child = writer_fork(&writer);

	writer_begin(&writer, 0, 0, -1);
	writer_let_child_claim(&writer, 1);
	writer_begin(&writer, 1, 1, -1);
	ck_assert_uint_eq(show().processes, 2);
	ck_assert_uint_eq(show().loops, 2);
	ck_assert_uint_eq(groups_view(collector_groups(collector), 0).series_count, 1);
	writer_kill(&writer);
	run_for(50 * MS);
	ck_assert_uint_eq(show().processes, 1);
	ck_assert_uint_eq(show().loops, 1);
	for (int i = 0; i < 10; i++)
		writer_iterate(&writer, 1, MS);
	ck_assert_uint_eq(show().iterations, 10);
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(nobody_lives());
	ck_assert_uint_eq(show().iterations, 10);
	writer_free(&writer);
}
END_TEST

START_TEST(a_child_may_have_its_first_loop_when_the_parent_is_long_gone)
{
	struct writer writer = writer_make();
	pid_t child;

	/* As a daemon does: it is gone before anybody has looked. */
	writer_start(&writer, path, "writer");
	child = writer_fork(&writer);
	writer_kill(&writer);
	run_until_targets(1);
	run_for(50 * MS);
	ck_assert_uint_eq(show().processes, 0);
	writer_let_child_claim(&writer, 3);
	writer_begin(&writer, 0, 3, -1);
	writer_iterate(&writer, 0, MS);
	ck_assert_uint_eq(show().processes, 1);
	ck_assert_uint_eq(show().loops, 1);
	ck_assert_uint_eq(show().iterations, 1);
	ck_assert_str_eq(
		groups_series_view(collector_groups(collector), 0, 0).loop, "main");
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(nobody_lives());
	writer_free(&writer);
}
END_TEST

START_TEST(a_thread_that_ends_takes_its_loop_along)
{
	struct writer writer = start();
	struct shown before;

	writer_thread(&writer, 1, "io");
	writer_begin(&writer, 0, 1, -1);
	writer_iterate(&writer, 0, MS);
	ck_assert_uint_eq(show().loops, 1);
	writer_wake(&writer, 0);
	writer_end_thread(&writer);
	run_for(50 * MS);
	before = show();
	ck_assert_uint_eq(before.loops, 0);
	ck_assert_uint_eq(before.open, 0);
	ck_assert_uint_eq(before.processes, 1);
	ck_assert_uint_eq(before.iterations, 1);
	run_for(50 * MS);
	ck_assert_uint_eq(show().life_ns, before.life_ns);
	writer_free(&writer);
}
END_TEST

START_TEST(another_program_in_the_same_process_takes_its_place)
{
	struct writer next = writer_make(), writer = start();

	writer_begin(&writer, 0, 0, -1);
	writer_iterate(&writer, 0, MS);
	ck_assert_uint_eq(show().processes, 1);
	next.header->pid = (uint32_t)writer.pid;
	writer_register(&writer, &next);
	run_until_targets(2);
	/* exec would have ended the thread. */
	writer.threads[0].lock[0] |= SEGMENT_OWNER_DIED;
	ck_assert_uint_eq(show().processes, 1);
	ck_assert_uint_eq(show().loops, 0);
	ck_assert_uint_eq(show().iterations, 1);
	next.threads[0].lock[0] = (uint32_t)writer.pid;
	writer_begin(&next, 0, 0, -1);
	writer_iterate(&next, 0, MS);
	ck_assert_uint_eq(show().processes, 1);
	ck_assert_uint_eq(show().loops, 1);
	ck_assert_uint_eq(show().iterations, 2);
	writer_free(&writer);
	writer_free(&next);
}
END_TEST

START_TEST(a_registration_anew_counts_nothing_twice)
{
	struct writer next = writer_make(), writer = start();
	uint64_t life_ns;
	struct shown shown;

	writer_begin(&writer, 0, 0, -1);
	writer_begin(&writer, 1, 0, -1);
	for (int i = 0; i < 10; i++) {
		writer_iterate(&writer, 0, MS);
		writer_iterate(&writer, 1, MS);
	}
	show();
	memcpy(next.header->id, writer.header->id, 16);
	next.header->pid = (uint32_t)writer.pid;
	next.header->registrations = 1;
	writer_register(&writer, &next);
	run_until_targets(2);
	ck_assert_uint_eq(show().loops, 2);
	ck_assert_uint_eq(show().processes, 1);
	writer_iterate(&writer, 0, MS);
	writer_iterate(&writer, 1, MS);
	/* One of the loops moves, at the end of an iteration that nobody has seen yet; in
	 * the new segment the other one's place is taken by a new loop. */
	next.threads[0].lock[0] = (uint32_t)writer.pid;
	next.threads[0].generation = 1;
	next.slots[0] = writer.slots[0];
	next.header->slots_used = 1;
	writer.slots[0].state = 0;
	writer_begin(&next, 1, 0, -1);
	for (int i = 0; i < 10; i++) {
		writer_iterate(&next, 0, MS);
		writer_iterate(&next, 1, MS);
		writer_iterate(&writer, 1, MS);
	}
	shown = show();
	ck_assert_uint_eq(shown.processes, 1);
	ck_assert_uint_eq(shown.loops, 3);
	ck_assert_uint_eq(shown.iterations, 21 + 21 + 10);
	ck_assert_uint_eq(shown.active_ns, next.slots[0].active_ns +
						   next.slots[1].active_ns +
						   writer.slots[1].active_ns);
	life_ns = 3 * writer_now_ns() - next.slots[0].born_ns - next.slots[1].born_ns -
		  writer.slots[1].born_ns;
	ck_assert_uint_le(shown.life_ns, life_ns);
	ck_assert_uint_ge(shown.life_ns, shown.active_ns);
	/* The same again is no registration. */
	writer_register(&writer, &next);
	expected = 1;
	ck_assert(run_until(all_are_refused));
	ck_assert_uint_eq(collector_stats(collector).rejected[COLLECTOR_HEADER], 1);
	writer_kill(&writer);
	ck_assert(run_until(nobody_lives));
	ck_assert_uint_eq(show().iterations, shown.iterations);
	writer_free(&writer);
	writer_free(&next);
}
END_TEST

START_TEST(a_closed_loop_is_no_stall)
{
	struct writer writer = start();
	int fd = writer_open(&writer);
	double active;

	writer_begin(&writer, 0, 0, fd);
	writer_wake(&writer, 0);
	run_for(100 * MS);
	ck_assert_uint_eq(show().open, 1);
	ck_assert_uint_eq(show().loops, 1);
	writer_close(&writer, fd);
	ck_assert_uint_eq(show().open, 0);
	ck_assert_uint_eq(show().loops, 0);
	active = show().active;
	run_for(50 * MS);
	ck_assert_double_eq(show().active, active);
	writer_free(&writer);
}
END_TEST

START_TEST(bad_guests_are_refused_and_counted_by_reason)
{
	struct writer good = writer_make();
	struct segment_hello hello = writer_hello(&good);
	int unsealed = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING), pipes[2];
	struct collector_stats stats;

	ck_assert_int_eq(ftruncate(unsealed, (off_t)hello.segment_size), 0);
	ck_assert_int_eq(pipe(pipes), 0);
	close(writer_send(path, "garbage", 7, good.fd, 1));
	close(writer_send(path, &hello, 100, good.fd, 1));
	close(writer_send(path, &hello, sizeof(hello), good.fd, 0));
	close(writer_send(path, &hello, sizeof(hello), good.fd, 253));
	close(writer_send(path, &hello, sizeof(hello), pipes[0], 1));
	close(writer_send(path, &hello, sizeof(hello), unsealed, 1));
	hello.version = 99;
	close(writer_send(path, &hello, sizeof(hello), good.fd, 1));
	hello.version = SEGMENT_VERSION;
	hello.slot_count = 100;
	hello.segment_size = segment_size(100);
	close(writer_send(path, &hello, sizeof(hello), good.fd, 1));
	hello = writer_hello(&good);
	hello.id[3]++;
	close(writer_send(path, &hello, sizeof(hello), good.fd, 1));
	expected = 9;
	ck_assert(run_until(all_are_refused));
	stats = collector_stats(collector);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_HELLO], 2);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_DESCRIPTOR], 3);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_SEALS], 1);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_VERSION], 1);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_SIZE], 1);
	ck_assert_uint_eq(stats.rejected[COLLECTOR_HEADER], 1);
	ck_assert_uint_eq(stats.targets, 0);
	ck_assert_uint_eq(groups_count(collector_groups(collector)), 0);
	close(unsealed);
	close(pipes[0]);
	close(pipes[1]);
	writer_free(&good);
}
END_TEST

#define SILENT 1000
static int silent[SILENT];

static void
connect_silently(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, path);
	for (int i = 0; i < SILENT; i++) {
		silent[i] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
		ck_assert_int_eq(
			connect(silent[i], (struct sockaddr *)&address, sizeof(address)),
			0);
	}
}

static void
limit_descriptors(rlim_t count)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_ge(limit.rlim_max, count);
	limit.rlim_cur = count;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

START_TEST(a_thousand_silent_connections_keep_nobody_out)
{
	struct writer writer = writer_make();
	uint64_t before_ns;

	limit_descriptors(4096);
	connect_silently();
	writer_start(&writer, path, "writer");
	before_ns = writer_now_ns();
	run_until_targets(1);
	/* They are sent away after two seconds; it did not wait for that. */
	ck_assert_uint_eq(collector_stats(collector).rejected[COLLECTOR_TIMEOUT], 0);
	ck_assert_uint_lt(writer_now_ns() - before_ns, 2 * SECOND);
	expected = SILENT;
	ck_assert(run_until(all_are_refused));
	ck_assert_uint_eq(refused(), SILENT);
	ck_assert_uint_gt(collector_stats(collector).rejected[COLLECTOR_QUOTA], 0);
	ck_assert_uint_gt(collector_stats(collector).rejected[COLLECTOR_TIMEOUT], 0);
	for (int i = 0; i < SILENT; i++) {
		struct pollfd fd = {.fd = silent[i], .events = POLLIN};

		/* Closed by another thread, perhaps a little later. */
		ck_assert_int_eq(poll(&fd, 1, 10000), 1);
		ck_assert(fd.revents & POLLHUP);
		close(silent[i]);
	}
	writer_free(&writer);
}
END_TEST

START_TEST(a_late_message_is_heard)
{
	struct writer writer = writer_make();
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct segment_hello hello = writer_hello(&writer);
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, path);
	ck_assert_int_eq(connect(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	run_for(50 * MS);
	ck_assert_int_eq(send(sock, &hello, sizeof(hello), 0), sizeof(hello));
	expected = 1;
	ck_assert(run_until(all_are_refused));
	ck_assert_uint_eq(collector_stats(collector).rejected[COLLECTOR_DESCRIPTOR], 1);
	close(sock);
	writer_free(&writer);
}
END_TEST

START_TEST(without_descriptors_guests_are_refused_and_later_ones_are_not)
{
	struct writer writer = writer_make(), next = writer_make();
	int held[256], count = 0;

	limit_descriptors(256);
	writer_start(&writer, path, "writer");
	while (count < 256 && (held[count] = dup(listener)) >= 0)
		count++;
	ck_assert_int_lt(held[count], 0);
	expected = 1;
	ck_assert(run_until(all_are_refused));
	ck_assert_uint_eq(collector_stats(collector).rejected[COLLECTOR_RESOURCES], 1);
	for (int i = 0; i < count; i++)
		close(held[i]);
	writer_start(&next, path, "writer");
	run_until_targets(1);
	writer_free(&writer);
	writer_free(&next);
}
END_TEST

static struct writer *victim;
static int stop;

static void *
scribble(void *arg)
{
	unsigned seed = 1;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		size_t words = segment_size(WRITER_SLOTS) / 4;
		/* Most of it where it matters. */
		size_t word = (size_t)rand_r(&seed) %
			      (rand_r(&seed) & 1 ? words : (4096 + 4096 + 3 * 12288) / 4);

		((volatile uint32_t *)victim->header)[word] = (uint32_t)rand_r(&seed)
							      << (rand_r(&seed) % 8);
	}
	return NULL;
}

START_TEST(a_segment_full_of_nonsense_does_no_harm_to_others)
{
	struct writer mad = writer_make(), good;
	pthread_t thread;

	strcpy(mad.header->group, "mad");
	writer_start(&mad, path, "mad");
	run_until_targets(1);
	good = start();
	victim = &mad;
	stop = 0;
	ck_assert_int_eq(pthread_create(&thread, NULL, scribble, NULL), 0);
	writer_begin(&good, 0, 0, -1);
	for (int i = 0; i < 500; i++) {
		struct shown mad_shown;

		writer_iterate(&good, 0, 100000);
		ck_assert_uint_eq(show().iterations, (uint64_t)i + 1);
		mad_shown = scrape("mad");
		ck_assert_uint_le(mad_shown.processes, 64);
		ck_assert_uint_le(mad_shown.loops, 64);
	}
	ck_assert_uint_eq(show().processes, 1);
	ck_assert_uint_eq(show().loops, 1);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	writer_free(&mad);
	writer_free(&good);
}
END_TEST

#define MANY 100
static bool
many_iterations_are_counted(void)
{
	struct groups *groups = collector_groups(collector);
	uint64_t iterations = 0;

	for (size_t i = 0; i < groups_count(groups); i++)
		if (groups_view(groups, i).series_count)
			iterations += groups_series_view(groups, i, 0).window->iterations;
	return iterations == MANY;
}

START_TEST(many_targets_are_read_without_being_asked_for)
{
	static struct writer writers[MANY];

	limit_descriptors(4096);
	for (int i = 0; i < MANY; i++) {
		struct segment_hello hello;

		writers[i] = writer_make();
		snprintf(writers[i].header->group, SEGMENT_NAME_BYTES, "g%d", i);
		hello = writer_hello(&writers[i]);
		close(writer_send(path, &hello, sizeof(hello), writers[i].fd, 1));
	}
	run_until_targets(MANY);
	for (int i = 0; i < MANY; i++) {
		writer_begin(&writers[i], 0, 0, -1);
		writer_iterate(&writers[i], 0, 1000);
	}
	ck_assert(run_until(many_iterations_are_counted));
	for (int i = 0; i < MANY; i++)
		writer_free(&writers[i]);
}
END_TEST

START_TEST(a_new_collector_rings)
{
	const volatile struct segment_doorbell *page;
	int fd = open(doorbell, O_RDONLY | O_CLOEXEC);

	page = mmap(NULL, SEGMENT_PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne((void *)page, MAP_FAILED);
	ck_assert_uint_eq(page->daemon, 1);
	collector_close(collector);
	open_collector();
	ck_assert_uint_eq(page->daemon, 2);
	munmap((void *)page, SEGMENT_PAGE);
	close(fd);
}
END_TEST

START_TEST(all_reasons_have_names)
{
	for (int i = 0; i < COLLECTOR_REASONS; i++) {
		ck_assert_ptr_nonnull(collector_reason_name((enum collector_reason)i));
		for (int j = 0; j < i; j++)
			ck_assert_str_ne(collector_reason_name((enum collector_reason)i),
				collector_reason_name((enum collector_reason)j));
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("collector");
	TCase *tcase = tcase_create("collector");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tcase, 120);
	tcase_add_checked_fixture(tcase, set_up, tear_down);
	tcase_add_test(tcase, a_target_and_its_loops_are_seen);
	tcase_add_test(tcase, groups_are_named_by_wish_and_else_by_command);
	tcase_add_test(tcase, loops_are_named_by_thread_or_label);
	tcase_add_test(tcase, a_loop_that_is_written_to_all_the_time_is_seen);
	tcase_add_test(tcase, a_slot_whose_writer_stopped_in_it_is_seen);
	tcase_add_test(tcase, an_iteration_that_lasts_is_seen_while_it_lasts);
	tcase_add_test(tcase, the_counts_of_a_killed_process_stay);
	tcase_add_test(tcase, a_process_that_was_gone_before_it_was_accepted_counts);
	tcase_add_test(tcase, a_hundred_processes_in_a_row_are_all_counted);
	tcase_add_test(tcase, a_forked_child_goes_on_when_its_parent_has_ended);
	tcase_add_test(
		tcase, a_child_may_have_its_first_loop_when_the_parent_is_long_gone);
	tcase_add_test(tcase, a_thread_that_ends_takes_its_loop_along);
	tcase_add_test(tcase, another_program_in_the_same_process_takes_its_place);
	tcase_add_test(tcase, a_registration_anew_counts_nothing_twice);
	tcase_add_test(tcase, a_closed_loop_is_no_stall);
	tcase_add_test(tcase, bad_guests_are_refused_and_counted_by_reason);
	tcase_add_test(tcase, a_thousand_silent_connections_keep_nobody_out);
	tcase_add_test(tcase, a_late_message_is_heard);
	tcase_add_test(
		tcase, without_descriptors_guests_are_refused_and_later_ones_are_not);
	tcase_add_test(tcase, a_segment_full_of_nonsense_does_no_harm_to_others);
	tcase_add_test(tcase, many_targets_are_read_without_being_asked_for);
	tcase_add_test(tcase, a_new_collector_rings);
	tcase_add_test(tcase, all_reasons_have_names);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
