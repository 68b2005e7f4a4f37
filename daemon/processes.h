/* SPDX-License-Identifier: MIT */
/*
 * What single processes do, for those who have asked for it: a row for each process and
 * label of its loops, so many at most. Rows live as long as their processes have loops, and
 * are not kept for the daemon after us. Every function takes NULL: then nobody has asked.
 */
#ifndef LOOPLAG_DAEMON_PROCESSES_H
#define LOOPLAG_DAEMON_PROCESSES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESSES_MAX 1000

struct metrics;
struct processes;
struct series;

/* NULL without memory, or when `max` is 0. */
struct processes *
processes_new(size_t max);
void
processes_free(struct processes *processes);

/* A loop of the process, whose label is the series', did so much. */
void
processes_add(struct processes *processes, pid_t pid, const struct series *series,
	uint64_t life_ns, uint64_t active_ns, uint64_t now_ns);
void
processes_add_stall(struct processes *processes, pid_t pid, const struct series *series);

/* Begin a new reading: forget who lives and what is open. */
void
processes_begin_reading(struct processes *processes);

/* In this reading the process has such a loop, whose iteration has lasted so long (0: it is
 * attended), or that has a stall of that age. */
void
processes_saw_loop(struct processes *processes, pid_t pid, const struct series *series,
	uint64_t open_ns);
void
processes_saw_stall(struct processes *processes, pid_t pid, const struct series *series,
	uint64_t age_ns);

/* Drop the rows of processes that were not seen in this reading, and add the metrics of the
 * others, which borrow from them until the next call. */
void
processes_collect(
	struct processes *processes, struct metrics *metrics, double booted_seconds);

/* The group of that name, by its address, is about to be forgotten. */
void
processes_forget_group(struct processes *processes, const char *groupname);

#endif
