/* SPDX-License-Identifier: MIT */
/* What the command line of looplag run asks for. */
#ifndef LOOPLAG_CLI_RUN_OPTIONS_H
#define LOOPLAG_CLI_RUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Exit statuses that are not the command's: wrong usage, a failure of looplag's own, and
 * what a shell says of a command that it cannot run or find. */
enum { RUN_USAGE = 2, RUN_FAILED = 125, RUN_NOT_RUN = 126, RUN_NOT_FOUND = 127 };

enum run_report { RUN_DEFAULT, RUN_TEXT, RUN_JSON, RUN_NONE };

/* All borrowed from argv and the environment. */
struct run_options {
	const char *groupname; /* NULL: not given */
	const char *output;    /* the same */
	const char *socket;
	bool socket_chosen;    /* not the default one */
	uint64_t threshold_ns; /* 0: not given */
	enum run_report report;
	char **argv; /* the command, not empty */
};

/* Returns 0, or -1 when all is said (the help, or what is wrong) and the process is to
 * exit with ret_status. */
__attribute__((warn_unused_result)) int
run_options_parse(
	int argc, char *argv[], struct run_options *ret_options, int *ret_status);

#endif
