/* SPDX-License-Identifier: MIT */
/* What the processes of a unit are besides its main one: workers, or what a shell or a
 * supervisor has started. */
#ifndef LOOPLAG_CLI_UNIT_PROCESSES_H
#define LOOPLAG_CLI_UNIT_PROCESSES_H

#include <sys/types.h>

struct unit_processes {
	unsigned count;    /* that may be looked into */
	unsigned carrying; /* of these, with the probe at work */
	unsigned loops;    /* in them */
};

/* Look at all processes of a systemd unit but the main one. */
struct unit_processes
unit_processes_look(const char *unit, pid_t main_pid);

#endif
