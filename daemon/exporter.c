/* SPDX-License-Identifier: MIT */
/*
 * Turns the groups into metrics.
 *
 * The delay is exported as a histogram whose unit of counting is a second of loop life:
 * bucket{le=x} is the time in which an event would have waited at most x, _count the
 * whole life, _sum the integral of the delay. Every series only grows: what could go
 * back by a rounding error is computed in whole nanoseconds by the groups.
 */

#include "config.h"

#include "daemon/exporter.h"

#include <math.h>
#include <stdlib.h>

#include "daemon/collector.h"
#include "daemon/groups.h"
#include "daemon/metrics.h"
#include "daemon/native.h"
#include "daemon/process.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const double wakeup_bounds[] = {0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025,
	0.005, 0.01, 0.025, 0.05, 0.1, 1};
static const double window_quantiles[] = {0.5, 0.9, 0.99, 0.999, 1};

/* One series. */
struct reading {
	const struct exporter_options *options;
	struct group_view group;
	struct series_view view;
	double life_seconds;
	struct metric_exemplar exemplars[SERIES_LAST_STALLS]; /* newest first */
	size_t exemplar_count;
	size_t family; /* that is being added to */
};

_Static_assert(SERIES_LAST_STALLS <= METRIC_EXEMPLARS_MAX, "a sample has room for them");
_Static_assert(EXPORTER_BOUNDS_MAX < METRIC_POINTS_MAX, "and for the infinite bound");

typedef void (*add_fn)(struct metrics *metrics, const struct reading *reading);

static struct metric_sample
series_sample(const struct reading *reading)
{
	return (struct metric_sample){
		.labels = {{"groupname", reading->group.groupname},
			{"loop", reading->view.loop}},
		.started_seconds = reading->options->booted_seconds +
				   (double)reading->view.started_ns / 1e9,
	};
}

static void
add_series_value(struct metrics *metrics, const struct reading *reading, double value)
{
	struct metric_sample sample = series_sample(reading);

	sample.value = value;
	metrics_add_to(metrics, reading->family, &sample);
}

static void
add_delay(struct metrics *metrics, const struct reading *reading)
{
	const struct exporter_options *options = reading->options;
	size_t count = options->delay_bound_count;
	struct metric_point points[EXPORTER_BOUNDS_MAX + 1];
	struct metric_sample sample = series_sample(reading);
	const struct series_view *view = &reading->view;
	double below_seconds[EXPORTER_BOUNDS_MAX], bands[HISTOGRAM_BANDS];
	struct native_room room;

	series_delay_buckets(
		view, view->total, options->delay_bounds, count, below_seconds);
	for (size_t i = 0; i < count; i++)
		points[i] =
			(struct metric_point){options->delay_bounds[i], below_seconds[i]};
	points[count] = (struct metric_point){INFINITY, reading->life_seconds};
	sample.points = points;
	sample.point_count = count + 1;
	sample.count = reading->life_seconds;
	sample.sum = series_half_squares(view, view->total);
	sample.exemplars = reading->exemplars;
	sample.exemplar_count = reading->exemplar_count;
	if (options->native_buckets) {
		series_delay_bands(view, view->total, bands);
		native_delay(bands, options->native_buckets, &room, &sample.native);
	}
	metrics_add_to(metrics, reading->family, &sample);
}

static void
add_delay_window(struct metrics *metrics, const struct reading *reading)
{
	struct metric_point points[COUNT(window_quantiles)];
	struct metric_sample sample = series_sample(reading);
	const struct series_view *view = &reading->view;
	double delays[COUNT(window_quantiles)];

	series_delay_quantiles(
		view, view->window, window_quantiles, COUNT(window_quantiles), delays);
	for (size_t i = 0; i < COUNT(points); i++) {
		points[i].bound = window_quantiles[i];
		/* Of a loop that did not live there is no delay, not one of zero. */
		points[i].value = view->window->life_ns ? delays[i] : NAN;
	}
	sample.points = points;
	sample.point_count = COUNT(points);
	sample.count = reading->life_seconds;
	sample.sum = series_half_squares(view, view->total);
	metrics_add_to(metrics, reading->family, &sample);
}

/* How many there are up to each of the rising bounds, and in the end how many in all. A
 * bucket in which a bound lies is above it. */
static void
count_up(const uint64_t *counts, double (*upper_seconds)(unsigned bucket),
	unsigned buckets, const double *bounds, size_t bound_count,
	struct metric_point *ret_points)
{
	uint64_t total = 0;
	unsigned bucket = 0;

	for (size_t i = 0; i <= bound_count; i++) {
		double bound = i < bound_count ? bounds[i] : INFINITY;

		/* Most are empty, and change nothing wherever they end. */
		for (; bucket < buckets &&
			(!counts[bucket] || upper_seconds(bucket) <= bound);
			bucket++)
			total = saturated_sum(total, counts[bucket]);
		ret_points[i] = (struct metric_point){bound, (double)total};
	}
}

static void
add_iteration(struct metrics *metrics, const struct reading *reading)
{
	const struct exporter_options *options = reading->options;
	const struct histogram *h = &reading->view.total->iteration;
	size_t count = options->delay_bound_count;
	struct metric_point points[EXPORTER_BOUNDS_MAX + 1];
	struct metric_sample sample = series_sample(reading);
	struct native_room room;

	count_up(h->counts, histogram_upper_seconds, HISTOGRAM_BUCKETS,
		options->delay_bounds, count, points);
	sample.count = points[count].value;
	sample.points = points;
	sample.point_count = count + 1;
	sample.sum = histogram_sum_seconds(h);
	sample.exemplars = reading->exemplars;
	sample.exemplar_count = reading->exemplar_count;
	if (options->native_buckets)
		native_iterations(h, options->native_buckets, &room, &sample.native);
	metrics_add_to(metrics, reading->family, &sample);
}

static void
add_wakeup(struct metrics *metrics, const struct reading *reading)
{
	const struct band_histogram *h = &reading->view.total->wakeup;
	struct metric_point points[COUNT(wakeup_bounds) + 1];
	struct metric_sample sample = series_sample(reading);
	struct native_room room;

	count_up(h->counts, band_upper_seconds, HISTOGRAM_BANDS, wakeup_bounds,
		COUNT(wakeup_bounds), points);
	sample.count = points[COUNT(wakeup_bounds)].value;
	sample.points = points;
	sample.point_count = COUNT(points);
	sample.sum = (double)h->sum_ns / 1e9;
	if (reading->options->native_buckets)
		native_wakeups(
			h, reading->options->native_buckets, &room, &sample.native);
	metrics_add_to(metrics, reading->family, &sample);
}

static void
add_loop_time(struct metrics *metrics, const struct reading *reading)
{
	struct metric_sample sample = series_sample(reading);
	const struct series_view *view = &reading->view;

	sample.labels[2] = (struct metric_label){"state", "active"};
	sample.value = series_active_seconds(view, view->total);
	metrics_add_to(metrics, reading->family, &sample);
	sample.labels[2].value = "idle";
	sample.value = series_idle_seconds(view, view->total);
	metrics_add_to(metrics, reading->family, &sample);
}

static void
add_nested_wait(struct metrics *metrics, const struct reading *reading)
{
	add_series_value(
		metrics, reading, (double)reading->view.total->nested_wait_ns / 1e9);
}

static void
add_events(struct metrics *metrics, const struct reading *reading)
{
	add_series_value(metrics, reading, (double)reading->view.total->events);
}

/* One sample for each cause, from the first scrape on. */
static void
add_by_cause(struct metrics *metrics, const struct reading *reading,
	const uint64_t values[STALL_CAUSES], double unit)
{
	struct metric_sample sample = series_sample(reading);

	sample.labels[2].name = "cause";
	for (int i = 0; i < STALL_CAUSES; i++) {
		sample.labels[2].value = stall_cause_name((enum stall_cause)i);
		sample.value = (double)values[i] / unit;
		metrics_add_to(metrics, reading->family, &sample);
	}
}

static void
add_stalls(struct metrics *metrics, const struct reading *reading)
{
	add_by_cause(metrics, reading, reading->view.stalls->count, 1);
}

static void
add_stall_seconds(struct metrics *metrics, const struct reading *reading)
{
	add_by_cause(metrics, reading, reading->view.stalls->length_ns, 1e9);
}

static void
add_stalled_loops(struct metrics *metrics, const struct reading *reading)
{
	add_series_value(metrics, reading, reading->view.stalled);
}

static void
add_stall_age(struct metrics *metrics, const struct reading *reading)
{
	add_series_value(metrics, reading, (double)reading->view.stall_age_ns / 1e9);
}

static void
add_last_stall(struct metrics *metrics, const struct reading *reading)
{
	add_series_value(
		metrics, reading, (double)reading->view.stalls->last_unix_ns / 1e9);
}

static const struct {
	enum metric_type type;
	const char *name;
	const char *help;
	add_fn add;
} series_families[] = {
	{METRIC_TIME_HISTOGRAM, "looplag_delay_seconds",
		"How long an event that arrives at a random moment waits until its loop "
		"attends to it; counted in seconds of loop life, not in events.",
		add_delay},
	{METRIC_SUMMARY, "looplag_delay_window_seconds",
		"The same delay over the last minute; quantile 1 is the longest "
		"iteration.",
		add_delay_window},
	{METRIC_HISTOGRAM, "looplag_iteration_seconds",
		"Lengths of the loop's iterations, each counting once.", add_iteration},
	{METRIC_HISTOGRAM, "looplag_wakeup_latency_seconds",
		"How much later than its timeout the loop's wait came back.", add_wakeup},
	{METRIC_COUNTER, "looplag_loop_time_seconds_total",
		"Loop life: active is inside iterations, idle is in the wait call.",
		add_loop_time},
	{METRIC_COUNTER, "looplag_nested_wait_seconds_total",
		"Time of the active, spent blocked in the wait calls of others.",
		add_nested_wait},
	{METRIC_COUNTER, "looplag_events_total", "Events that the loop's waits returned.",
		add_events},
	{METRIC_COUNTER, "looplag_stalls_total",
		"Stalls that have ended, by cause; one that lasts is in "
		"looplag_stalled_loops.",
		add_stalls},
	{METRIC_COUNTER, "looplag_stall_seconds_total",
		"Length of the stalls that have ended, by cause.", add_stall_seconds},
	{METRIC_GAUGE, "looplag_stalled_loops",
		"Loops in a stall that has not ended yet.", add_stalled_loops},
	{METRIC_GAUGE, "looplag_stall_age_seconds",
		"How long the oldest stall that has not ended yet has lasted; 0 without "
		"one.",
		add_stall_age},
	{METRIC_GAUGE, "looplag_last_stall_timestamp_seconds",
		"When the last stall began, ended or not, in seconds since the epoch; 0 "
		"before the first one.",
		add_last_stall},
};

static void
add_value(
	struct metrics *metrics, const char *label, const char *label_value, double value)
{
	metrics_add(metrics, &(struct metric_sample){
				     .labels = {{label, label_value}}, .value = value});
}

static void
collect_groups(const struct groups *groups, struct metrics *metrics)
{
	metrics_family(metrics, METRIC_GAUGE, "looplag_group_processes",
		"Living processes of the group.");
	for (size_t i = 0; i < groups_count(groups); i++) {
		struct group_view group = groups_view(groups, i);

		add_value(metrics, "groupname", group.groupname, group.processes);
	}
	metrics_family(metrics, METRIC_GAUGE, "looplag_group_loops",
		"Living event loops of the group.");
	for (size_t i = 0; i < groups_count(groups); i++) {
		struct group_view group = groups_view(groups, i);

		add_value(metrics, "groupname", group.groupname, group.loops);
	}
	metrics_family(metrics, METRIC_INFO, "looplag_group_info",
		"Always 1; what the group's first process runs on, and whose it is.");
	for (size_t i = 0; i < groups_count(groups); i++) {
		struct group_view group = groups_view(groups, i);

		metrics_add(metrics,
			&(struct metric_sample){
				.labels = {{"groupname", group.groupname},
					{"runtime", group.runtime ? group.runtime
								  : "unknown"},
					{"user", group.user ? group.user : "unknown"}},
				.value = 1});
	}
}

static void
collect_stats(const struct collector_stats *stats, struct metrics *metrics)
{
	metrics_family(metrics, METRIC_COUNTER, "looplag_rejected_segments_total",
		"Registrations that were refused, by reason.");
	for (enum collector_reason reason = 0; reason < COLLECTOR_REASONS; reason++)
		add_value(metrics, "reason", collector_reason_name(reason),
			(double)stats->rejected[reason]);
	metrics_family(metrics, METRIC_COUNTER, "looplag_dropped_loops_total",
		"Loops that could not be recorded, by what their process's segment had "
		"too few of, or as their user had too many; or that could not be "
		"followed when looplagd was restarted.");
	add_value(metrics, "reason", "slots", (double)stats->dropped_slots);
	add_value(metrics, "reason", "threads", (double)stats->dropped_threads);
	add_value(metrics, "reason", "restart", (double)stats->dropped_restart);
	add_value(metrics, "reason", "quota", (double)stats->dropped_quota);
	metrics_family(metrics, METRIC_COUNTER, "looplag_captures_total",
		"Stacks of stalled loops that were taken, or why not, by result.");
	for (enum captures_result result = 0; result < CAPTURES_RESULTS; result++)
		add_value(metrics, "result", captures_result_name(result),
			(double)stats->captures[result]);
	metrics_family(metrics, METRIC_COUNTER, "looplag_missed_iterations_total",
		"Iterations of 10 ms and more that were overwritten before they were "
		"read: stalls may have been among them.");
	metrics_add(metrics, &(struct metric_sample){.value = (double)stats->missed});
	metrics_family(metrics, METRIC_COUNTER, "looplag_hidden_processes_total",
		"Registrations of processes that looplagd cannot see, as they are in "
		"another pid namespace.");
	metrics_add(metrics, &(struct metric_sample){.value = (double)stats->hidden});
	metrics_family(metrics, METRIC_INFO, "looplag_build_info",
		"Always 1; the version of looplagd.");
	add_value(metrics, "version", PACKAGE_VERSION, 1);
}

static void
add_process(struct metrics *metrics, enum metric_type type, const char *name,
	const char *help, double value)
{
	if (isnan(value))
		return;
	metrics_family(metrics, type, name, help);
	metrics_add(metrics, &(struct metric_sample){.value = value});
}

static void
collect_process(const struct process_stats *process, struct metrics *metrics)
{
	add_process(metrics, METRIC_COUNTER, "process_cpu_seconds_total",
		"CPU time of looplagd, user and system.", process->cpu_seconds);
	add_process(metrics, METRIC_GAUGE, "process_open_fds",
		"Open file descriptors of looplagd.", process->open_fds);
	add_process(metrics, METRIC_GAUGE, "process_max_fds",
		"How many file descriptors looplagd may have.", process->max_fds);
	add_process(metrics, METRIC_GAUGE, "process_virtual_memory_bytes",
		"Virtual memory of looplagd.", process->virtual_bytes);
	add_process(metrics, METRIC_GAUGE, "process_resident_memory_bytes",
		"Resident memory of looplagd.", process->resident_bytes);
	add_process(metrics, METRIC_GAUGE, "process_start_time_seconds",
		"When looplagd was started, in seconds since the epoch.",
		process->start_time_seconds);
	add_process(metrics, METRIC_GAUGE, "process_threads", "Threads of looplagd.",
		process->threads);
}

/* The series' last stalls, newest first. */
static void
find_exemplars(struct reading *reading)
{
	reading->exemplar_count = 0;
	for (size_t i = 0; i < SERIES_LAST_STALLS; i++) {
		const struct series_stall *stall = &reading->view.last_stalls[i];
		const struct metric_exemplar exemplar = {
			.labels = {{"stall_id", stall->id},
				{stall->pid ? "pid" : NULL, (uint64_t)stall->pid}},
			.value = (double)stall->length_ns / 1e9,
			.unix_seconds = (double)stall->ended_unix_ns / 1e9,
		};
		size_t place = reading->exemplar_count;

		if (!stall->id)
			continue;
		for (; place && reading->exemplars[place - 1].unix_seconds <
					exemplar.unix_seconds;
			place--)
			reading->exemplars[place] = reading->exemplars[place - 1];
		reading->exemplars[place] = exemplar;
		reading->exemplar_count++;
	}
}

struct metrics *
exporter_begin(void)
{
	struct metrics *metrics = metrics_new();

	for (size_t i = 0; metrics && i < COUNT(series_families); i++)
		metrics_family(metrics, series_families[i].type, series_families[i].name,
			series_families[i].help);
	return metrics;
}

void
exporter_add_group(struct metrics *metrics, const struct groups *groups, size_t index,
	const struct exporter_options *options)
{
	struct reading reading = {
		.options = options, .group = groups_view(groups, index)};

	for (size_t i = 0; i < reading.group.series_count; i++) {
		reading.view = groups_series_view(groups, index, i);
		reading.life_seconds = (double)reading.view.total->life_ns / 1e9;
		find_exemplars(&reading);
		for (size_t j = 0; j < COUNT(series_families); j++) {
			reading.family = j;
			series_families[j].add(metrics, &reading);
		}
	}
}

void
exporter_finish(struct metrics *metrics, const struct groups *groups,
	const struct collector_stats *stats, const struct process_stats *process)
{
	collect_groups(groups, metrics);
	collect_stats(stats, metrics);
	collect_process(process, metrics);
}
