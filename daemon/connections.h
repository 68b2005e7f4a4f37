/* SPDX-License-Identifier: MIT */
/*
 * Keeps the number and the patience of HTTP connections down. evhttp does not count them
 * and does not tell when one is closed, but the kernel knows them all; here stands since
 * when each owes a whole request, or has owed to take an answer.
 *
 * Whoever holds connections open, or drips bytes into them, gives way to whoever sends a
 * request: a connection that is shut down here is seen to end by its owner, who closes it.
 */
#ifndef LOOPLAG_DAEMON_CONNECTIONS_H
#define LOOPLAG_DAEMON_CONNECTIONS_H

#include <stdint.h>

struct connections;

/* For at most `limit` connections; NULL without memory. */
struct connections *
connections_new(unsigned limit);
void
connections_free(struct connections *connections);

/* One more was accepted; it may not have its descriptor yet. If that is one too many, shut
 * down those that have kept us waiting longest, an eighth of the limit. Returns how many. */
unsigned
connections_accepted(struct connections *connections, uint64_t now_ns);

/* The connection has sent a whole request. Returns its number, which no other one has. */
uint64_t
connections_begin(struct connections *connections, int fd, uint64_t now_ns);

/* It has taken the answer. */
void
connections_end(struct connections *connections, uint64_t number, uint64_t now_ns);

/* Shut the connection down. Returns 1, or 0 if it is already. */
unsigned
connections_shut(struct connections *connections, uint64_t number);

/* Shut down all whose request or answer is not whole after `patience_ns`. Returns how
 * many. */
unsigned
connections_look(struct connections *connections, uint64_t patience_ns, uint64_t now_ns);

/* Shut down all but `keep`. Returns how many. */
unsigned
connections_shed(struct connections *connections, unsigned keep, uint64_t now_ns);

/* How many were shut down as there were too many. */
uint64_t
connections_count_shed(const struct connections *connections);

#endif
