/* SPDX-License-Identifier: MIT */
/*
 * A private collector: what looplagd is for a machine, for one command and in this
 * process, on a socket that nobody else is told of.
 */
#ifndef LOOPLAG_CLI_SESSION_H
#define LOOPLAG_CLI_SESSION_H

#include <stdint.h>

struct groups;
struct session;
struct worst;

/* Make the socket and listen; an iteration longer than the threshold (0: than the default
 * one) is a stall. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
session_open(uint64_t threshold_ns, struct session **ret_session);
/* Removes the socket too. */
void
session_close(struct session *session);

/* Path of the socket, for the command's environment; borrowed. */
const char *
session_socket(const struct session *session);

/* Run the command and wait until it has ended. Returns 0 with its wait status and how long
 * it ran, or -errno if it could not be run. */
__attribute__((warn_unused_result)) int
session_run(struct session *session, char *const argv[], int *ret_status,
	double *ret_seconds);

/* Take the socket away; what was collected stays. For before anything that may fail. */
void
session_shut(struct session *session);

/* What was seen until the command ended; borrowed. */
struct groups *
session_groups(struct session *session);

uint64_t
session_threshold_ns(const struct session *session);

/* Where it was stuck; borrowed. */
const struct worst *
session_worst(const struct session *session);

/* How many processes loaded the probe. */
uint64_t
session_targets(const struct session *session);

#endif
