/* SPDX-License-Identifier: MIT */
/*
 * Tells the journal of stalls: an entry when one is found, and one when it has ended, with
 * its cause and its stack. A stall that was over when it was found has the second alone.
 */
#ifndef LOOPLAG_DAEMON_STALL_LOG_H
#define LOOPLAG_DAEMON_STALL_LOG_H

struct event_loop;
struct stall_log;
struct stalls;

/* Both are borrowed, and stay until stall_log_free(). NULL on failure. */
struct stall_log *
stall_log_new(struct event_loop *loop, struct stalls *stalls);
/* The group is about to be forgotten, and its name with it. NULL does nothing. */
void
stall_log_forget_group(struct stall_log *log, const char *groupname);

/* Writes what was waiting for a stack. */
void
stall_log_free(struct stall_log *log);

#endif
