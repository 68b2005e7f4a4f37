/* SPDX-License-Identifier: MIT */
/* What the command lines of looplag enable and looplag disable ask for. */
#ifndef LOOPLAG_CLI_ENABLE_OPTIONS_H
#define LOOPLAG_CLI_ENABLE_OPTIONS_H

#include <stdbool.h>

/* All borrowed from argv. */
struct enable_options {
	bool now, dry_run, force, json;
	bool runtime;       /* of enable */
	const char *socket; /* of enable; NULL: the default */
	char **argv;        /* the units; not empty */
};

/* Returns 0, or -1 when all is said (the help, or what is wrong) and the process is to exit
 * with ret_status. argv[0] is the verb. */
__attribute__((warn_unused_result)) int
enable_options_parse(
	int argc, char *argv[], struct enable_options *ret_options, int *ret_status);

#endif
