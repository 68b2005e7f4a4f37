/* SPDX-License-Identifier: MIT */
/* The states that were seen, by numbers that stand for them. */
#ifndef LOOPLAG_TESTS_EXPLORE_STATES_H
#define LOOPLAG_TESTS_EXPLORE_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Mix a value into the number of a state. */
uint64_t
states_mix(uint64_t hash, uint64_t value);

/* Whether the state, not 0, has been seen; it has now. */
bool
states_was_seen(uint64_t state);

size_t
states_count(void);

/* From now on none has been seen. To be called first. */
void
states_forget(void);

#endif
