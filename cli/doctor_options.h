/* SPDX-License-Identifier: MIT */
/* What the command line of looplag doctor asks for. */
#ifndef LOOPLAG_CLI_DOCTOR_OPTIONS_H
#define LOOPLAG_CLI_DOCTOR_OPTIONS_H

#include <stdbool.h>

/* Exit statuses: it cannot carry the probe; wrong usage, or there is no such thing. */
enum { DOCTOR_CANNOT = 1, DOCTOR_USAGE = 2 };

/* All borrowed from argv and the environment. */
struct doctor_options {
	const char *socket;
	bool socket_chosen; /* not the default one */
	const char *url;
	bool json;
	char **argv; /* the process, unit or command; not empty */
};

/* Returns 0, or -1 when all is said (the help, or what is wrong) and the process is to
 * exit with ret_status. */
__attribute__((warn_unused_result)) int
doctor_options_parse(
	int argc, char *argv[], struct doctor_options *ret_options, int *ret_status);

#endif
