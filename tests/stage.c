/* SPDX-License-Identifier: MIT */
/* See stage.h. */

#include "config.h"

#include "tests/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <check.h>

#include "daemon/collector.h"
#include "daemon/event.h"
#include "daemon/groups.h"
#include "daemon/ledger.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define DEADLINE_NS (20 * SECOND)

struct stage stage;

static struct event_loop *loop;
static char directory[32];

void
stage_open(void)
{
	struct collector_options options = {.socket = stage.listener,
		.doorbell_path = stage.doorbell,
		.own_groupname = "myself",
		.kept = &stage.kept};

	if (stage.state[0])
		stage.ledger = ledger_open(stage.state);
	options.ledger = stage.ledger;
	ck_assert_int_eq(collector_open(loop, &options, &stage.collector), 0);
}

/* Do that in the directory of the state. */
static void
run_there(const char *command)
{
	char all[256];

	snprintf(all, sizeof(all), "cd %s && %s", stage.state, command);
	ck_assert_int_eq(system(all), 0);
}

void
stage_keep_history(void)
{
	collector_close(stage.collector);
	snprintf(stage.state, sizeof(stage.state), "%s/state", directory);
	ck_assert_int_eq(mkdir(stage.state, 0700), 0);
	stage_open();
}

void
stage_kill(void)
{
	/* What an orderly end writes is undone. */
	run_there("cp ledger before");
	collector_close(stage.collector);
	ledger_close(stage.ledger);
	run_there("mv before ledger");
}

void
stage_store(const struct writer *writer)
{
	char name[FD_STORE_NAME_BYTES];

	fd_store_name(writer->header, name);
	ck_assert_int_eq(fd_store_return(&stage.kept, dup(writer->fd), name), 0);
}

void
stage_set_up(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	strcpy(directory, "collector-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(stage.path, sizeof(stage.path), "%s/sock", directory);
	snprintf(stage.doorbell, sizeof(stage.doorbell), "%s/doorbell", directory);
	stage.listener =
		socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	strcpy(address.sun_path, stage.path);
	ck_assert_int_eq(
		bind(stage.listener, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(stage.listener, 4096), 0);
	loop = event_loop_new();
	ck_assert_ptr_nonnull(loop);
	stage_open();
}

void
stage_tear_down(void)
{
	collector_close(stage.collector);
	ledger_close(stage.ledger);
	fd_store_fini(&stage.kept);
	if (stage.state[0]) {
		run_there("rm -f ledger* lock");
		rmdir(stage.state);
	}
	stage.state[0] = 0;
	stage.ledger = NULL;
	event_loop_free(loop);
	close(stage.listener);
	unlink(stage.path);
	unlink(stage.doorbell);
	rmdir(directory);
}

static struct stage_shown last_shown;

struct stage_shown
stage_scrape(const char *groupname)
{
	struct stage_shown shown = {0};
	struct groups *groups;

	collector_read(stage.collector);
	collector_save(stage.collector);
	groups = collector_groups(stage.collector);
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

struct stage_shown
stage_show(void)
{
	struct stage_shown shown = stage_scrape("writer");

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

bool
stage_run_until(bool (*condition)(void))
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
	return collector_stats(stage.collector).targets >= expected;
}

void
stage_run_until_targets(uint64_t count)
{
	expected = count;
	ck_assert(stage_run_until(targets_are_there));
}

bool
stage_nobody_lives(void)
{
	struct stage_shown shown = stage_show();

	return shown.processes == 0 && shown.loops == 0;
}

static bool
time_has_come(void)
{
	return writer_now_ns() >= expected;
}

void
stage_run_for(uint64_t ns)
{
	expected = writer_now_ns() + ns;
	ck_assert(stage_run_until(time_has_come));
}

uint64_t
stage_refused(void)
{
	struct collector_stats stats = collector_stats(stage.collector);
	uint64_t sum = 0;

	for (int i = 0; i < COLLECTOR_REASONS; i++)
		sum += stats.rejected[i];
	return sum;
}

static bool
all_are_refused(void)
{
	return stage_refused() >= expected;
}

void
stage_run_until_refused(uint64_t count)
{
	expected = count;
	ck_assert(stage_run_until(all_are_refused));
}

struct writer
stage_writer(void)
{
	struct writer writer = writer_make();
	uint64_t before = collector_stats(stage.collector).targets;

	writer_start(&writer, stage.path, "writer");
	stage_run_until_targets(before + 1);
	return writer;
}

void
stage_limit_descriptors(unsigned count)
{
	struct rlimit limit;

	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert_uint_ge(limit.rlim_max, count);
	limit.rlim_cur = count;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}
