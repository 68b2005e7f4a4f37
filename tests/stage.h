/* SPDX-License-Identifier: MIT */
/*
 * A collector for a test, with a socket and a doorbell of its own in a new directory, and
 * what a scrape of it shows. Its event loop runs until something is so, within 20 seconds.
 */
#ifndef LOOPLAG_TESTS_STAGE_H
#define LOOPLAG_TESTS_STAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/fd_store.h"
#include "tests/segment_writer.h"

struct stage {
	struct collector *collector;
	int listener; /* at path */
	char path[64], doorbell[64], state[64];
	struct ledger *ledger; /* NULL: nothing is kept */
	struct fd_store kept;  /* segments for the next one */
};

extern struct stage stage;

/* A checked fixture. */
void
stage_set_up(void);
void
stage_tear_down(void);

/* Open the collector, after a test has closed it. */
void
stage_open(void);

/* From now on keep a history, in stage.state. */
void
stage_keep_history(void);

/* The collector ends as if it was killed just now. Then stage_open() goes on. */
void
stage_kill(void);

/* The service manager keeps that segment for the next one. */
void
stage_store(const struct writer *writer);

/* What a scrape shows of all series of a group. */
struct stage_shown {
	uint64_t iterations, active_ns, life_ns, max_ns;
	double active, idle, half_squares, bucket;
	unsigned processes, loops, open;
};

struct stage_shown
stage_scrape(const char *groupname);

/* The same of the group "writer", whose counters must never go back. */
struct stage_shown
stage_show(void);

/* No process and no loop of that group is shown any more. */
bool
stage_nobody_lives(void);

/* All that was refused, for whatever reason. */
uint64_t
stage_refused(void);

/* Run until something is so. Returns whether it came to that. */
bool
stage_run_until(bool (*condition)(void));

/* Run so long, or until at least so many targets are there, or guests are refused. */
void
stage_run_for(uint64_t ns);
void
stage_run_until_targets(uint64_t count);
void
stage_run_until_refused(uint64_t count);

/* A process of the group "writer" that has just been let in. */
struct writer
stage_writer(void);

/* Let this process have so many descriptors. */
void
stage_limit_descriptors(unsigned count);

#endif
