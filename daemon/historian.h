/* SPDX-License-Identifier: MIT */
/*
 * The historian: has a column added to the history of each group when its five seconds are
 * over, some groups at a time, and puts each history into the ledger every 20 seconds and in
 * the end: who is killed loses what came after that.
 */
#ifndef LOOPLAG_DAEMON_HISTORIAN_H
#define LOOPLAG_DAEMON_HISTORIAN_H

struct collector;
struct event_loop;
struct group_view;
struct historian;
struct past;
struct ledger;

/* Borrows the arguments; close it before the collector. NULL without memory. */
struct historian *
historian_open(struct event_loop *loop, struct collector *collector, struct past *history,
	struct ledger *ledger);
void
historian_close(struct historian *historian);

/* The group is about to be forgotten. */
void
historian_forget_group(struct historian *historian, const struct group_view *group);

#endif
