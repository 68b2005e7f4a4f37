/* SPDX-License-Identifier: MIT */
/* Whether the processes of a systemd unit can carry the probe. */
#ifndef LOOPLAG_CLI_EXAMINE_UNIT_H
#define LOOPLAG_CLI_EXAMINE_UNIT_H

#include <stdbool.h>
#include <sys/types.h>

struct findings;

/* What is to be known of a unit besides the findings. */
struct unit_facts {
	bool preloads;  /* its settings name the probe */
	pid_t main_pid; /* 0: it does not run */
};

/* Tell what is to say of a unit by its settings. `library` is the probe that it is to load;
 * NULL: the one that it names, or else the installed one. Returns 0, -ENOENT if there is no such
 * unit, or -EIO if systemd does not answer. */
__attribute__((warn_unused_result)) int
examine_unit(struct findings *findings, const char *unit, const char *socket,
	const char *library, struct unit_facts *ret_facts);

#endif
