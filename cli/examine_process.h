/* SPDX-License-Identifier: MIT */
/* Whether a process carries the probe, and whether it works there. */
#ifndef LOOPLAG_CLI_EXAMINE_PROCESS_H
#define LOOPLAG_CLI_EXAMINE_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct findings;

/* What is known already of where a process runs. */
struct surroundings {
	const char *socket; /* the daemon's */
	bool listens;       /* a daemon listens there */
	const char *unit;   /* the systemd unit, NULL: none */
	bool unit_preloads; /* the unit's settings name the probe */
};

/* Tell what is to say of a process. Returns 0, or the error of process_facts_read(). */
__attribute__((warn_unused_result)) int
examine_process(
	struct findings *findings, pid_t pid, const struct surroundings *surroundings);

#endif
