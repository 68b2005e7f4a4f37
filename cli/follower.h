/* SPDX-License-Identifier: MIT */
/*
 * Which of the stalls in one answer after the other are news: each is shown once while it
 * lasts, if it is seen so, and once when it has ended and its stack is there. Pure.
 */
#ifndef LOOPLAG_CLI_FOLLOWER_H
#define LOOPLAG_CLI_FOLLOWER_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/stall.h"

/* How many answers the stack of a stall that has ended may be late. */
#define FOLLOWER_PATIENCE 3

struct follower;

/* NULL without memory. */
struct follower *
follower_new(void);
void
follower_free(struct follower *follower);

/* An answer holds all stalls whose id is greater than this; the newest one that is known is
 * among them. */
uint64_t
follower_since(const struct follower *follower);

/* What is in an answer comes next, oldest first. */
void
follower_begin(struct follower *follower);

/* Whether to show this stall now. */
bool
follower_take(struct follower *follower, const struct stall *stall);

/* The answer is complete. Returns false if it was that of another daemon than before, whose
 * stalls have to be asked for again: everything is forgotten. */
bool
follower_end(struct follower *follower);

#endif
