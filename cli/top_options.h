/* SPDX-License-Identifier: MIT */
/* What the command line of looplag top asks for. */
#ifndef LOOPLAG_CLI_TOP_OPTIONS_H
#define LOOPLAG_CLI_TOP_OPTIONS_H

/* Takes --url, borrowed from argv. Returns 0, or -1 when all is said (the help, or what is
 * wrong) and the process is to exit with ret_status. */
__attribute__((warn_unused_result)) int
top_options_parse(int argc, char *argv[], const char **ret_url, int *ret_status);

#endif
