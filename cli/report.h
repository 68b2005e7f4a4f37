/* SPDX-License-Identifier: MIT */
/*
 * The report of a run, for people: a table of all loops, and for the latest of them how
 * their delay was spread. Pure: groups in, text out.
 */
#ifndef LOOPLAG_CLI_REPORT_H
#define LOOPLAG_CLI_REPORT_H

#include <stdint.h>
#include <stdio.h>

struct groups;
struct style;

/* What was run. */
struct report_run {
	char *const *argv;
	double seconds;
	int status;            /* as waitpid() gives it */
	uint64_t threshold_ns; /* a longer iteration is a stall */
};

/* How many loops, dead or alive, the groups have seen, threads of one name counting once. */
size_t
report_loops(const struct groups *groups);

void
report_text(const struct groups *groups, const struct report_run *run,
	const struct style *style, FILE *out);

#endif
