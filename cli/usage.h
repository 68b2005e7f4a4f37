/* SPDX-License-Identifier: MIT */
/* What the commands' options have in common: how mistakes are told, and where looplagd is. */
#ifndef LOOPLAG_CLI_USAGE_H
#define LOOPLAG_CLI_USAGE_H

#include <stdbool.h>

#define USAGE_SOCKET RUNSTATEDIR "/looplag/probe.sock"

/* Say on stderr what is wrong with the command line of `looplag VERB`. Returns -1. */
__attribute__((format(printf, 2, 3))) int
usage_error(const char *verb, const char *format, ...);

/* The same of a word for which getopt_long() has returned ':' or '?'; `letters` are those
 * that the long options return. Returns -1. */
int
usage_bad_option(const char *verb, int option, const char *letters, const char *word);

/* Take the value of --url, which is kept. Returns 0, or -1 if nothing can be asked for
 * there, which is said. */
__attribute__((warn_unused_result)) int
usage_take_url(const char *verb, char *word, const char **ret_url);

/* Where looplagd listens if no option says so, and whether the environment does. The string
 * is the environment's. */
const char *
usage_socket(bool *ret_chosen);

#endif
