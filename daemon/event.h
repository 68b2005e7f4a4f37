/* SPDX-License-Identifier: MIT */
/*
 * The event loop. With the HTTP server (http.c and its parts, web_access.c, tls.c) the only
 * file that knows libevent: others watch descriptors, signals and the clock through this.
 * Not thread-safe: one thread owns a loop.
 */
#ifndef LOOPLAG_DAEMON_EVENT_H
#define LOOPLAG_DAEMON_EVENT_H

#include <stdint.h>

struct event_base;
struct event_loop;
struct event_watch;

typedef void (*event_fn)(void *arg);

/* A loop, or NULL. Free its watches first. */
struct event_loop *
event_loop_new(void);
void
event_loop_free(struct event_loop *loop);

/* Runs until event_loop_stop(). Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
event_loop_run(struct event_loop *loop);
void
event_loop_stop(struct event_loop *loop);

/* libevent's own handle, borrowed; for http.c. */
struct event_base *
event_loop_base(struct event_loop *loop);

/* Call fn(arg) whenever fd is readable (or has hung up), every period_ns, or on a signal,
 * until the watch is freed; a watch may be freed in its own call. NULL on failure. The
 * descriptor stays the caller's. */
struct event_watch *
event_readable(struct event_loop *loop, int fd, event_fn fn, void *arg);
struct event_watch *
event_every(struct event_loop *loop, uint64_t period_ns, event_fn fn, void *arg);
struct event_watch *
event_signal(struct event_loop *loop, int signal_number, event_fn fn, void *arg);

/* Call fn(arg) once after delay_ns. The watch must still be freed. */
struct event_watch *
event_after(struct event_loop *loop, uint64_t delay_ns, event_fn fn, void *arg);

void
event_watch_free(struct event_watch *watch);

/* CLOCK_MONOTONIC now, in nanoseconds. */
uint64_t
event_now_ns(void);

/* CLOCK_REALTIME now, in nanoseconds since the epoch. */
uint64_t
event_unix_ns(void);

#endif
