/* SPDX-License-Identifier: MIT */
/* What the command line of looplag stalls asks for. */
#ifndef LOOPLAG_CLI_STALLS_OPTIONS_H
#define LOOPLAG_CLI_STALLS_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Exit statuses: wrong usage, and no daemon or no way to ask one. */
enum { STALLS_USAGE = 2, STALLS_FAILED = 1 };

/* All borrowed from argv. */
struct stalls_options {
	const char *url;
	const char *group; /* NULL: all */
	bool since_given;
	int64_t since_unix_ns;
	bool follow;
	bool json;
};

/* Returns 0, or -1 when all is said (the help, or what is wrong) and the process is to
 * exit with ret_status. */
__attribute__((warn_unused_result)) int
stalls_options_parse(int argc, char *argv[], int64_t now_unix_ns,
	struct stalls_options *ret_options, int *ret_status);

#endif
