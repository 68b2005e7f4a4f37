/* SPDX-License-Identifier: MIT */
/* Rows of processes; see processes.h. They are few: they are searched one by one. */

#include "config.h"

#include "daemon/processes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/counters.h"
#include "daemon/event.h"
#include "daemon/groups.h"
#include "daemon/log.h"
#include "daemon/metrics.h"

struct row {
	pid_t pid;
	const struct series *series;
	char label[16]; /* its pid */
	uint64_t started_ns, life_ns, active_ns, stalls;
	bool seen;
	uint64_t open_ns, stall_age_ns; /* in this reading */
};

struct processes {
	size_t max, count;
	struct row *rows[];
};

struct processes *
processes_new(size_t max)
{
	struct processes *processes = NULL;

	if (max)
		processes = calloc(1, sizeof(*processes) + max * sizeof(struct row *));
	if (processes)
		processes->max = max;
	return processes;
}

void
processes_free(struct processes *processes)
{
	if (!processes)
		return;
	for (size_t i = 0; i < processes->count; i++)
		free(processes->rows[i]);
	free(processes);
}

/* The row, or NULL. */
static struct row *
find(const struct processes *processes, pid_t pid, const struct series *series)
{
	for (size_t i = 0; processes && i < processes->count; i++)
		if (processes->rows[i]->series == series &&
			processes->rows[i]->pid == pid)
			return processes->rows[i];
	return NULL;
}

/* A new row; NULL if there is no room. */
static struct row *
add_row(struct processes *processes, pid_t pid, const struct series *series,
	uint64_t started_ns)
{
	static struct log_limit limit;
	struct row *row;

	if (processes->count == processes->max) {
		log_warn_limited(&limit, event_now_ns(), "processes",
			"there are more loops of processes than %zu; the others have no "
			"series of their own; raise --collector.processes",
			processes->max);
		return NULL;
	}
	row = calloc(1, sizeof(*row));
	if (!row)
		return NULL;
	row->pid = pid;
	row->series = series;
	row->started_ns = started_ns;
	snprintf(row->label, sizeof(row->label), "%d", (int)pid);
	processes->rows[processes->count++] = row;
	return row;
}

void
processes_add(struct processes *processes, pid_t pid, const struct series *series,
	uint64_t life_ns, uint64_t active_ns, uint64_t now_ns)
{
	struct row *row = find(processes, pid, series);

	if (!processes || pid <= 0)
		return;
	if (!row)
		row = add_row(processes, pid, series, difference(now_ns, life_ns));
	if (!row)
		return;
	row->life_ns = saturated_sum(row->life_ns, life_ns);
	row->active_ns = saturated_sum(row->active_ns, active_ns);
}

void
processes_add_stall(struct processes *processes, pid_t pid, const struct series *series)
{
	struct row *row = find(processes, pid, series);

	if (row)
		row->stalls++;
}

void
processes_begin_reading(struct processes *processes)
{
	for (size_t i = 0; processes && i < processes->count; i++) {
		struct row *row = processes->rows[i];

		row->seen = false;
		row->open_ns = row->stall_age_ns = 0;
	}
}

void
processes_saw_loop(struct processes *processes, pid_t pid, const struct series *series,
	uint64_t open_ns)
{
	struct row *row = find(processes, pid, series);

	if (!row)
		return;
	row->seen = true;
	row->open_ns = saturated_sum(row->open_ns, open_ns);
}

void
processes_saw_stall(struct processes *processes, pid_t pid, const struct series *series,
	uint64_t age_ns)
{
	struct row *row = find(processes, pid, series);

	if (row && age_ns > row->stall_age_ns)
		row->stall_age_ns = age_ns;
}

/* Whether the process has a loop of any label. */
static bool
lives(const struct processes *processes, pid_t pid)
{
	for (size_t i = 0; i < processes->count; i++)
		if (processes->rows[i]->pid == pid && processes->rows[i]->seen)
			return true;
	return false;
}

/* Drop a row; the last one takes its place. */
static void
drop(struct processes *processes, size_t index)
{
	free(processes->rows[index]);
	processes->rows[index] = processes->rows[--processes->count];
}

static void
drop_the_dead(struct processes *processes)
{
	for (size_t i = processes->count; i-- > 0;)
		if (!processes->rows[i]->seen &&
			!lives(processes, processes->rows[i]->pid))
			drop(processes, i);
}

static double
active_seconds(const struct row *row)
{
	return (double)saturated_sum(row->active_ns, row->open_ns) / 1e9;
}

static double
idle_seconds(const struct row *row)
{
	return (double)difference(
		       row->life_ns, saturated_sum(row->active_ns, row->open_ns)) /
	       1e9;
}

static double
stalls(const struct row *row)
{
	return (double)row->stalls;
}

static double
stall_age(const struct row *row)
{
	return (double)row->stall_age_ns / 1e9;
}

static const struct {
	enum metric_type type;
	const char *name;
	const char *help;
	double (*value)(const struct row *row);
} families[] = {
	{METRIC_COUNTER, "looplag_process_active_seconds_total",
		"Loop life of one process that is inside iterations.", active_seconds},
	{METRIC_COUNTER, "looplag_process_idle_seconds_total",
		"Loop life of one process that is in the wait call.", idle_seconds},
	{METRIC_COUNTER, "looplag_process_stalls_total",
		"Stalls of one process that have ended.", stalls},
	{METRIC_GAUGE, "looplag_process_stall_age_seconds",
		"How long the oldest stall of one process that has not ended yet has "
		"lasted; 0 without one.",
		stall_age},
};

void
processes_collect(
	struct processes *processes, struct metrics *metrics, double booted_seconds)
{
	if (!processes)
		return;
	drop_the_dead(processes);
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		metrics_family(
			metrics, families[i].type, families[i].name, families[i].help);
		for (size_t j = 0; j < processes->count; j++) {
			const struct row *row = processes->rows[j];
			const struct metric_sample sample = {
				.labels = {{"groupname", series_groupname(row->series)},
					{"loop", series_loop(row->series)},
					{"pid", row->label}},
				.value = families[i].value(row),
				.started_seconds =
					booted_seconds + (double)row->started_ns / 1e9,
			};

			metrics_add(metrics, &sample);
		}
	}
}

void
processes_forget_group(struct processes *processes, const char *groupname)
{
	for (size_t i = processes ? processes->count : 0; i-- > 0;)
		if (series_groupname(processes->rows[i]->series) == groupname)
			drop(processes, i);
}
