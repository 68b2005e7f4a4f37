/* SPDX-License-Identifier: MIT */
/* What the command line of looplag hist asks for. */
#ifndef LOOPLAG_CLI_HIST_OPTIONS_H
#define LOOPLAG_CLI_HIST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* All borrowed from argv. */
struct hist_options {
	const char *url;
	const char *group;
	uint64_t interval_ns; /* 0: all since the start, once */
	uint64_t count;       /* of intervals; 0: without end */
	bool json;
};

/* Returns 0, or -1 when all is said (the help, or what is wrong) and the process is to
 * exit with ret_status. */
__attribute__((warn_unused_result)) int
hist_options_parse(
	int argc, char *argv[], struct hist_options *ret_options, int *ret_status);

#endif
