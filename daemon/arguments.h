/* SPDX-License-Identifier: MIT */
/*
 * What a process was called with: /proc/PID/cmdline. That is read out of the process's own
 * memory, and a process can have it that who reads there waits as long as it likes. So
 * threads do it, a few for each user at most, and nobody waits for them.
 */
#ifndef LOOPLAG_DAEMON_ARGUMENTS_H
#define LOOPLAG_DAEMON_ARGUMENTS_H

#include <sys/types.h>

#define ARGUMENTS_BYTES 2048 /* with the final 0; what is longer is cut off */

struct arguments;

/* Ask for the arguments of a process of that user. NULL without memory. */
struct arguments *
arguments_ask(pid_t pid, uid_t uid);
void
arguments_free(struct arguments *arguments);

/* Returns 1 and the words, joined by spaces, borrowed; 0: not yet; or -errno: that process
 * is not there. Whoever has its pidfd looks whether the number is still its own. */
__attribute__((warn_unused_result)) int
arguments_get(struct arguments *arguments, const char **ret_text);

#endif
