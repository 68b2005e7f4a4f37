/* SPDX-License-Identifier: MIT */
/*
 * The cause of a stall, from samples of what the kernel says of its thread while it lasts.
 *
 * Between two samples the thread ran for so long, waited for a CPU for so long (both are
 * exact), and did something else for the rest: it slept or was stopped, as its state tells.
 * Of the sleep some may have been in the waits of others, which the probe measures.
 *
 *	    first                  last
 *	------|----------------------|------
 *	      | cpu | delay |  rest  |       rest: blocked, nested wait, or stopped
 *
 * Pure.
 */
#ifndef LOOPLAG_DAEMON_CAUSE_H
#define LOOPLAG_DAEMON_CAUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/stalls.h"

/* A look at a thread. */
struct cause_sample {
	uint64_t now_ns;
	char state;         /* as in /proc/PID/stat; 0: unknown */
	bool has_times;     /* the next three are known */
	uint64_t cpu_ns;    /* it has run for so long in its life */
	uint64_t wait_ns;   /* and waited for a CPU, whenever it got one in the end */
	uint64_t slices;    /* how often it got one */
	uint64_t nested_ns; /* in this iteration, in the waits of others */
	const char *system_call; /* it sleeps in, constant; NULL: none, or unknown */
};

/* What the samples of one iteration have shown; zeros at first. */
struct cause {
	unsigned samples;
	bool without_times; /* in any of them */
	bool states_differ;
	struct cause_sample first, last;
	double blocked_ns, stopped_ns, queued_ns; /* the rest, by what the states tell */
	const char *system_call;                  /* that most of them saw */
	int votes;
};

void
cause_add(struct cause *cause, const struct cause_sample *sample);

/* The shares so far, and the largest of them as the cause; `nested_ns` is the final one of
 * the iteration's nested waits, if it has ended, and its length. */
void
cause_find(const struct cause *cause, uint64_t length_ns, uint64_t nested_ns,
	struct stalls_cause *ret_cause);

/* It was waiting for the interpreter lock: what looked blocked was that. */
void
cause_waits_gil(struct stalls_cause *cause);

#endif
