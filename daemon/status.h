/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told while we serve: in figures how we are, which systemctl
 * status shows, and that the event loop still turns, without which it restarts us
 * (WatchdogSec=). Does nothing where there is no such manager.
 */
#ifndef LOOPLAG_DAEMON_STATUS_H
#define LOOPLAG_DAEMON_STATUS_H

#include <stddef.h>

#define STATUS_BYTES 96

struct event_loop;
struct status;

struct status_figures {
	size_t groups, loops, stalled;
};

/* The figures in words. */
void
status_words(const struct status_figures *figures, char ret_words[STATUS_BYTES]);

/* Tell from status_ready() on what figures(arg) says, whenever that has changed, at most
 * every few seconds; and that we live. NULL on failure. */
struct status *
status_new(
	struct event_loop *loop, struct status_figures (*figures)(void *arg), void *arg);
void
status_free(struct status *status);

/* We serve; also after notify_reloading(). */
void
status_ready(struct status *status);

#endif
