/* SPDX-License-Identifier: MIT */
/*
 * The ledger: what has been told of loops, kept for the daemon after us, so that counters
 * go on where they ended whatever happens to a daemon. What is put into it between two
 * commits is all of one moment.
 *
 * It is good for one boot of the machine, as clocks and processes are. Says in the log, once,
 * why there is no history, or none any more; the daemon goes on without. Every function
 * takes NULL for a ledger: then nothing is kept.
 */
#ifndef LOOPLAG_DAEMON_LEDGER_H
#define LOOPLAG_DAEMON_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

struct ledger;
struct record;

/* In this order they are given back. */
enum ledger_kind {
	LEDGER_ABOUT = 1, /* the ledger's own */
	LEDGER_STATS,
	LEDGER_SERIES,  /* number: series_id() */
	LEDGER_TARGET,  /* number: its serial */
	LEDGER_SLOT,    /* number: its target's serial; index: of the slot */
	LEDGER_HISTORY, /* number: the group's */
};

struct ledger_key {
	enum ledger_kind kind;
	uint32_t index;
	uint64_t number;
};

/* A new one, with the history that the last one in the directory left. NULL: none. */
struct ledger *
ledger_open(const char *directory);
void
ledger_close(struct ledger *ledger);

/* Whether the last one's history is there, be it empty. */
bool
ledger_has_history(const struct ledger *ledger);

/* How many registrations had come to the last one when it was killed, and were not in its
 * history yet; 0 without one. */
uint64_t
ledger_in_hand(const struct ledger *ledger);
/* There are so many now. What the last one had is forgotten with the first call. */
void
ledger_set_in_hand(struct ledger *ledger, unsigned count);
/* One of them is in the history from the next commit on, whether that is told before we are
 * killed or not. */
void
ledger_admit(struct ledger *ledger);

/* The next record of the last one's history. Returns whether there was one. */
bool
ledger_next(struct ledger *ledger, struct ledger_key *ret_key, struct record *ret_record);

/* It cannot be used: say so, and go on without. */
void
ledger_reject_history(struct ledger *ledger);

void
ledger_put(
	struct ledger *ledger, const struct ledger_key *key, const struct record *record);
void
ledger_forget(struct ledger *ledger, const struct ledger_key *key);
void
ledger_commit(struct ledger *ledger);

#endif
