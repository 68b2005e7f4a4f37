/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server's listening sockets: how fast connections are accepted, how many are kept,
 * and what happens when there are no descriptors left. A part of http.c.
 */
#ifndef LOOPLAG_DAEMON_DOORS_H
#define LOOPLAG_DAEMON_DOORS_H

struct connections;
struct doors;
struct event_loop;
struct web_access;

/* libevent's. */
struct evhttp;

/* The doors of a server, one in a process, all borrowed. NULL without memory. Freed after
 * the server. */
struct doors *
doors_new(struct event_loop *loop, struct evhttp *evhttp, struct web_access *access);
void
doors_free(struct doors *doors);

/* Accept connections of a listening socket, borrowed until the server is freed; HTTP_SOCKETS
 * at most. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
doors_open(struct doors *doors, int fd);

/* Accept nobody any more. */
void
doors_shut(struct doors *doors);

/* All that were accepted; borrowed. */
struct connections *
doors_connections(const struct doors *doors);

#endif
