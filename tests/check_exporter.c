/* SPDX-License-Identifier: MIT */
/* What is exported of the groups: which families, what they count, and that they only
 * grow. */

#include "config.h"

#include "daemon/exporter.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "daemon/collector.h"
#include "daemon/counters.h"
#include "daemon/groups.h"
#include "daemon/metrics.h"
#include "daemon/process.h"
#include "daemon/text.h"

#define SECOND 1000000000ull
#define MS 1000000ull

static const struct exporter_options options = {
	.delay_bounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
		5, 10, 30, 60},
	.delay_bound_count = 15,
	.native_buckets = 160,
	.booted_seconds = 1000000000,
};
static struct groups *groups;
static struct series *loop;
static struct collector_stats stats;
static struct process_stats process;
static struct metrics *metrics;

static void
set_up(void)
{
	groups = groups_new();
	loop = group_series(groups_get(groups, "web"), "main");
	stats = (struct collector_stats){0};
	process = (struct process_stats){1, 2, 3, 4, 5, 6, 7};
	metrics = NULL;
}

static void
tear_down(void)
{
	metrics_free(metrics);
	groups_free(groups);
}

static void
collect(void)
{
	metrics_free(metrics);
	metrics = exporter_begin();
	ck_assert_ptr_nonnull(metrics);
	for (size_t i = 0; i < groups_count(groups); i++)
		exporter_add_group(metrics, groups, i, &options);
	exporter_finish(metrics, groups, &stats, &process);
	ck_assert(!metrics_failed(metrics));
}

static const struct metric_family *
family(const char *name)
{
	for (size_t i = 0; i < metrics_count(metrics); i++)
		if (!strcmp(metrics_get(metrics, i)->name, name))
			return metrics_get(metrics, i);
	return NULL;
}

static bool
has_label(const struct metric_sample *sample, const char *name, const char *value)
{
	for (unsigned i = 0; i < METRIC_LABELS && sample->labels[i].name; i++)
		if (!strcmp(sample->labels[i].name, name))
			return !strcmp(sample->labels[i].value, value);
	return false;
}

/* The family's sample with that label; the first one for no label. */
static const struct metric_sample *
sample(const char *name, const char *label, const char *value)
{
	const struct metric_family *found = family(name);

	ck_assert_msg(found, "no family %s", name);
	for (size_t i = 0; i < found->sample_count; i++)
		if (!label || has_label(&found->samples[i], label, value))
			return &found->samples[i];
	ck_abort_msg("no %s{%s=\"%s\"}", name, label ? label : "", value ? value : "");
}

static double
bucket(const struct metric_sample *histogram, double bound)
{
	for (size_t i = 0; i < histogram->point_count; i++)
		if (histogram->points[i].bound == bound)
			return histogram->points[i].value;
	ck_abort_msg("no bucket %g", bound);
}

/* The loop lived so long, with one iteration of that length, which ended. */
static void
live(uint64_t life_ns, uint64_t iteration_ns, uint64_t now_ns)
{
	struct counters delta = {.life_ns = life_ns};

	if (iteration_ns)
		counters_record(&delta, iteration_ns);
	series_add(loop, &delta, now_ns);
}

START_TEST(delay_is_counted_in_seconds_of_loop_life)
{
	const struct metric_sample *delay;

	live(10 * SECOND, 2 * SECOND, 10 * SECOND);
	collect();
	delay = sample("looplag_delay_seconds", NULL, NULL);
	ck_assert(has_label(delay, "groupname", "web"));
	ck_assert(has_label(delay, "loop", "main"));
	ck_assert_double_eq(delay->count, 10);
	ck_assert_double_eq(bucket(delay, INFINITY), 10);
	/* Who came in the first second of the two waited over one. */
	ck_assert_double_eq_tol(bucket(delay, 1), 9, 0.022);
	ck_assert_double_eq_tol(bucket(delay, 0.1), 8.1, 0.01);
	ck_assert_double_eq(bucket(delay, 2.5), 10);
	ck_assert_double_eq_tol(delay->sum, 2, 1e-9);
}
END_TEST

START_TEST(an_iteration_that_still_lasts_counts_already)
{
	live(10 * SECOND, 0, 10 * SECOND);
	groups_begin_reading(groups, 10 * SECOND);
	series_saw_loop(loop, 3 * SECOND);
	collect();
	ck_assert_double_eq_tol(
		bucket(sample("looplag_delay_seconds", NULL, NULL), 1), 8, 1e-9);
	ck_assert_double_eq_tol(
		sample("looplag_delay_seconds", NULL, NULL)->sum, 4.5, 1e-9);
	ck_assert_double_eq_tol(
		sample("looplag_loop_time_seconds_total", "state", "active")->value, 3,
		1e-9);
	ck_assert_double_eq(
		bucket(sample("looplag_delay_window_seconds", NULL, NULL), 1), 3);
	ck_assert_double_eq(sample("looplag_iteration_seconds", NULL, NULL)->count, 0);
	ck_assert_double_eq(sample("looplag_group_loops", NULL, NULL)->value, 1);
}
END_TEST

START_TEST(active_and_idle_add_up_to_the_life)
{
	live(10 * SECOND, 3 * SECOND, 10 * SECOND);
	groups_begin_reading(groups, 10 * SECOND);
	series_saw_loop(loop, 1 * SECOND);
	collect();
	ck_assert_double_eq_tol(
		sample("looplag_loop_time_seconds_total", "state", "active")->value, 4,
		1e-9);
	ck_assert_double_eq_tol(
		sample("looplag_loop_time_seconds_total", "state", "idle")->value, 6,
		1e-9);
}
END_TEST

START_TEST(iterations_are_counted_one_by_one)
{
	const struct metric_sample *iteration;

	for (unsigned i = 0; i < 10; i++)
		live(SECOND, i < 9 ? 2 * MS : 700 * MS, (i + 1) * SECOND);
	collect();
	iteration = sample("looplag_iteration_seconds", NULL, NULL);
	ck_assert_double_eq(iteration->count, 10);
	ck_assert_double_eq(bucket(iteration, 0.001), 0);
	ck_assert_double_eq(bucket(iteration, 0.0025), 9);
	ck_assert_double_eq(bucket(iteration, 0.5), 9);
	ck_assert_double_eq(bucket(iteration, 1), 10);
	ck_assert_double_eq_tol(iteration->sum, 0.718, 1e-9);
}
END_TEST

START_TEST(the_other_counters_of_a_loop_are_seconds_and_events)
{
	struct counters delta = {
		.life_ns = SECOND, .nested_wait_ns = 250 * MS, .events = 42, .waits = 7};
	const struct metric_sample *wakeup;

	band_histogram_record(&delta.wakeup, 60000);
	band_histogram_record(&delta.wakeup, 3 * MS);
	series_add(loop, &delta, SECOND);
	collect();
	ck_assert_double_eq(
		sample("looplag_nested_wait_seconds_total", NULL, NULL)->value, 0.25);
	ck_assert_double_eq(sample("looplag_events_total", NULL, NULL)->value, 42);
	wakeup = sample("looplag_wakeup_latency_seconds", NULL, NULL);
	ck_assert_double_eq(wakeup->count, 2);
	ck_assert_double_eq(bucket(wakeup, 0.00005), 0);
	ck_assert_double_eq(bucket(wakeup, 0.0001), 1);
	ck_assert_double_eq(bucket(wakeup, 0.005), 2);
	ck_assert_double_eq_tol(wakeup->sum, 0.00306, 1e-12);
}
END_TEST

/* The loop had a stall of that length, which ended then. */
static void
stall(uint64_t id, pid_t pid, uint64_t length_ns, int64_t ended_unix_ns)
{
	series_add_stall(loop, STALL_CPU,
		&(struct series_stall){id, pid, length_ns, ended_unix_ns});
}

START_TEST(the_last_stalls_are_exemplars_newest_first)
{
	static const char *const names[] = {
		"looplag_delay_seconds", "looplag_iteration_seconds"};

	stall(1, 42, 150 * MS, 1000 * SECOND);
	stall(2, 42, 3 * SECOND, 1001 * SECOND);
	stall(3, 0, 151 * MS, 1002 * SECOND);
	stall(0, 42, 500 * SECOND, 1003 * SECOND); /* of which nobody knows more */
	collect();
	for (unsigned i = 0; i < 2; i++) {
		const struct metric_sample *s = sample(names[i], NULL, NULL);

		ck_assert_uint_eq(s->exemplar_count, 2);
		ck_assert_str_eq(s->exemplars[0].labels[0].name, "stall_id");
		ck_assert_uint_eq(s->exemplars[0].labels[0].value, 3);
		ck_assert_ptr_null(s->exemplars[0].labels[1].name);
		ck_assert_double_eq(s->exemplars[0].value, 0.151);
		ck_assert_uint_eq(s->exemplars[1].labels[0].value, 2);
		ck_assert_str_eq(s->exemplars[1].labels[1].name, "pid");
		ck_assert_uint_eq(s->exemplars[1].labels[1].value, 42);
		ck_assert_double_eq(s->exemplars[1].unix_seconds, 1001);
		ck_assert_ptr_eq(metrics_exemplar(s, 0.1, 0.25), &s->exemplars[0]);
		ck_assert_ptr_eq(metrics_exemplar(s, 2.5, 3), &s->exemplars[1]);
		ck_assert_ptr_null(metrics_exemplar(s, 3, INFINITY));
		ck_assert_ptr_null(metrics_exemplar(s, 0, 0.1));
	}
}
END_TEST

START_TEST(counting_began_when_the_loop_was_first_seen_by_whichever_daemon)
{
	const struct counters total = {.life_ns = SECOND};
	const struct stall_counters stalls = {.last_unix_ns = 0};

	live(10 * SECOND, 0, 70 * SECOND);
	live(10 * SECOND, 0, 80 * SECOND);
	series_restore(group_series(groups_get(groups, "kept"), "main"), &total, &stalls,
		30 * SECOND);
	collect();
	ck_assert_double_eq(
		sample("looplag_delay_seconds", "groupname", "web")->started_seconds,
		1000000060);
	ck_assert_double_eq(
		sample("looplag_events_total", "groupname", "kept")->started_seconds,
		1000000030);
}
END_TEST

START_TEST(without_life_in_the_window_its_quantiles_are_unknown)
{
	const struct metric_sample *window;

	live(10 * SECOND, 2 * SECOND, 10 * SECOND);
	groups_begin_reading(groups, 500 * SECOND);
	collect();
	window = sample("looplag_delay_window_seconds", NULL, NULL);
	for (size_t i = 0; i < window->point_count; i++)
		ck_assert(isnan(window->points[i].value));
	/* These are not the window's: they only grow. */
	ck_assert_double_eq(window->count, 10);
	ck_assert_double_eq_tol(window->sum, 2, 1e-9);
}
END_TEST

START_TEST(groups_tell_their_processes_and_runtime)
{
	group_set_runtime(groups_get(groups, "web"), "node");
	group_add_process(groups_get(groups, "web"), 3);
	groups_get(groups, "db");
	collect();
	ck_assert_double_eq(
		sample("looplag_group_processes", "groupname", "web")->value, 3);
	ck_assert_double_eq(
		sample("looplag_group_processes", "groupname", "db")->value, 0);
	ck_assert(has_label(
		sample("looplag_group_info", "groupname", "web"), "runtime", "node"));
	ck_assert(has_label(
		sample("looplag_group_info", "groupname", "db"), "runtime", "unknown"));
	ck_assert_double_eq(sample("looplag_group_info", NULL, NULL)->value, 1);
}
END_TEST

START_TEST(every_reason_is_exported_from_the_start)
{
	stats.rejected[COLLECTOR_SEALS] = 2;
	stats.dropped_threads = 5;
	collect();
	ck_assert_uint_eq(family("looplag_rejected_segments_total")->sample_count,
		COLLECTOR_REASONS);
	ck_assert_double_eq(
		sample("looplag_rejected_segments_total", "reason", "seals")->value, 2);
	ck_assert_double_eq(
		sample("looplag_rejected_segments_total", "reason", "hello")->value, 0);
	ck_assert_double_eq(
		sample("looplag_dropped_loops_total", "reason", "slots")->value, 0);
	ck_assert_double_eq(
		sample("looplag_dropped_loops_total", "reason", "threads")->value, 5);
}
END_TEST

START_TEST(what_the_kernel_does_not_tell_is_left_out)
{
	process.open_fds = NAN;
	collect();
	ck_assert_ptr_null(family("process_open_fds"));
	ck_assert_double_eq(sample("process_max_fds", NULL, NULL)->value, 3);
}
END_TEST

START_TEST(this_process_is_known_to_the_kernel)
{
	struct process_stats own = process_read();

	ck_assert_double_ge(own.cpu_seconds, 0);
	ck_assert_double_ge(own.open_fds, 3);
	ck_assert_double_ge(own.max_fds, own.open_fds);
	ck_assert_double_gt(own.resident_bytes, 0);
	ck_assert_double_ge(own.virtual_bytes, own.resident_bytes);
	ck_assert_double_gt(own.start_time_seconds, 1e9);
	ck_assert_double_eq(own.threads, 1);
}
END_TEST

/* By index + NATIVE_OFFSET. */
#define NATIVE_OFFSET 1024
struct native {
	int schema;
	double zero;
	double values[2 * NATIVE_OFFSET];
};

/* A loop whose life is made up, and what the last scrape said of it. */
struct walk {
	unsigned short state[3];
	uint64_t now_ns;
	uint64_t open_ns; /* 0: attended */
	double last[64];
	struct native natives[3]; /* what the last scrape said of it */
	unsigned scrapes;
};

static uint64_t
next_length(struct walk *walk)
{
	return (uint64_t)exp(erand48(walk->state) * 23);
}

/* Let time pass: in the iteration that is open, in the wait, or over the end of one. */
static void
step(struct walk *walk)
{
	struct counters delta = {.life_ns = next_length(walk)};

	walk->now_ns += delta.life_ns;
	if (!walk->open_ns) {
		if (nrand48(walk->state) % 2)
			walk->open_ns = 1 + delta.life_ns / 3;
	} else if (nrand48(walk->state) % 2) {
		walk->open_ns += delta.life_ns;
	} else {
		/* It ended within this step. */
		counters_record(&delta, walk->open_ns + delta.life_ns / 2);
		walk->open_ns = 0;
	}
	band_histogram_record(&delta.wakeup, next_length(walk));
	series_add(loop, &delta, walk->now_ns);
}

static void
check_grown(
	struct walk *walk, unsigned *index, const char *name, double bound, double value)
{
	ck_assert_msg(value >= walk->last[*index],
		"scrape %u: %s (%g) went from %.17g back to %.17g", walk->scrapes, name,
		bound, walk->last[*index], value);
	walk->last[(*index)++] = value;
}

/* No series of the family has gone back, and its histograms are cumulative. */
static void
check_family(struct walk *walk, const struct metric_family *checked, unsigned *index)
{
	for (size_t i = 0; i < checked->sample_count; i++) {
		const struct metric_sample *s = &checked->samples[i];
		double below = 0;

		check_grown(walk, index, checked->name, 0, s->value);
		check_grown(walk, index, checked->name, 0, s->count);
		check_grown(walk, index, checked->name, 0, s->sum);
		for (size_t j = 0;
			checked->type == METRIC_HISTOGRAM && j < s->point_count; j++) {
			check_grown(walk, index, checked->name, s->points[j].bound,
				s->points[j].value);
			ck_assert_double_ge(s->points[j].value, below);
			below = s->points[j].value;
		}
		if (checked->type == METRIC_HISTOGRAM)
			ck_assert_double_eq(below, s->count);
	}
}

/* Make it one schema coarser, as Prometheus does. */
static void
coarsen(struct native *native)
{
	struct native coarse = {.schema = native->schema - 1, .zero = native->zero};

	for (int i = 0; i < 2 * NATIVE_OFFSET; i++)
		coarse.values[((i - NATIVE_OFFSET + 1) >> 1) + NATIVE_OFFSET] +=
			native->values[i];
	*native = coarse;
}

/* No bucket of the native histogram has less in it than the last time. */
static void
check_native(struct walk *walk, unsigned number, const char *name)
{
	const struct metric_native *native = &family(name)->samples[0].native;
	struct native *last = &walk->natives[number];
	struct native now = {.schema = native->schema};
	double sum = native->zero_value;

	ck_assert_double_gt(native->zero_threshold, 0);
	if (!walk->scrapes)
		last->schema = native->schema;
	ck_assert_int_le(native->schema, last->schema);
	while (last->schema > native->schema)
		coarsen(last);
	now.zero = native->zero_value;
	ck_assert_double_ge(now.zero, last->zero);
	for (size_t i = 0; i < native->count; i++) {
		now.values[native->buckets[i].index + NATIVE_OFFSET] =
			native->buckets[i].value;
		sum += native->buckets[i].value;
	}
	for (int i = 0; i < 2 * NATIVE_OFFSET; i++)
		if (now.values[i] < last->values[i])
			ck_abort_msg("scrape %u: %s, bucket %d went from %.17g back to "
				     "%.17g",
				walk->scrapes, name, i - NATIVE_OFFSET, last->values[i],
				now.values[i]);
	ck_assert_double_eq_tol(sum, family(name)->samples[0].count, 1e-9);
	*last = now;
}

START_TEST(whatever_a_loop_does_no_counter_ever_goes_back)
{
	for (unsigned run = 0; run < 20; run++) {
		struct walk walk = {
			.state = {1, 2, (unsigned short)run}, .now_ns = SECOND};

		for (walk.scrapes = 0; walk.scrapes < 500; walk.scrapes++) {
			unsigned index = 0;

			step(&walk);
			groups_begin_reading(groups, walk.now_ns);
			series_saw_loop(loop, walk.open_ns);
			collect();
			check_family(&walk, family("looplag_delay_seconds"), &index);
			check_family(
				&walk, family("looplag_delay_window_seconds"), &index);
			check_family(&walk, family("looplag_iteration_seconds"), &index);
			check_family(
				&walk, family("looplag_loop_time_seconds_total"), &index);
			check_native(&walk, 0, "looplag_delay_seconds");
			check_native(&walk, 1, "looplag_iteration_seconds");
			check_native(&walk, 2, "looplag_wakeup_latency_seconds");
		}
		tear_down();
		set_up();
	}
}
END_TEST

START_TEST(promtool_has_nothing_to_say_against_it)
{
	FILE *promtool;

	if (system("command -v promtool >/dev/null 2>&1")) {
		puts("promtool is not installed: not checked");
		return;
	}
	live(10 * SECOND, 2 * SECOND, 10 * SECOND);
	group_series(groups_get(groups, "a\"b\\c\nd"), "w\303\266rker");
	process = process_read();
	collect();
	promtool = popen("promtool check metrics 2>&1", "w");
	text_write(promtool, metrics);
	ck_assert_int_eq(pclose(promtool), 0);
}
END_TEST

static Suite *
exporter_suite(void)
{
	Suite *suite = suite_create("exporter");
	TCase *loops = tcase_create("loops"), *others = tcase_create("others");

	tcase_add_checked_fixture(loops, set_up, tear_down);
	tcase_add_test(loops, delay_is_counted_in_seconds_of_loop_life);
	tcase_add_test(loops, an_iteration_that_still_lasts_counts_already);
	tcase_add_test(loops, active_and_idle_add_up_to_the_life);
	tcase_add_test(loops, iterations_are_counted_one_by_one);
	tcase_add_test(loops, the_other_counters_of_a_loop_are_seconds_and_events);
	tcase_add_test(loops, the_last_stalls_are_exemplars_newest_first);
	tcase_add_test(
		loops, counting_began_when_the_loop_was_first_seen_by_whichever_daemon);
	tcase_add_test(loops, without_life_in_the_window_its_quantiles_are_unknown);
	tcase_add_test(loops, whatever_a_loop_does_no_counter_ever_goes_back);
	suite_add_tcase(suite, loops);
	tcase_add_checked_fixture(others, set_up, tear_down);
	tcase_add_test(others, groups_tell_their_processes_and_runtime);
	tcase_add_test(others, every_reason_is_exported_from_the_start);
	tcase_add_test(others, what_the_kernel_does_not_tell_is_left_out);
	tcase_add_test(others, this_process_is_known_to_the_kernel);
	tcase_add_test(others, promtool_has_nothing_to_say_against_it);
	suite_add_tcase(suite, others);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(exporter_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
