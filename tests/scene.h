/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the probe's parts stand on: a segment in shared memory, with this
 * libc's mutexes, and processes that play a part in it and end.
 */
#ifndef LOOPLAG_TESTS_SCENE_H
#define LOOPLAG_TESTS_SCENE_H

#include <stdint.h>

#include "probes/slots.h"

/* A new, empty segment with so many slots. Lives as long as the process. */
struct segment
scene_segment(uint32_t slots);

/* Which word of a mutex holds its owner's tid here. */
int
scene_owner_word(void);

/* Fail unless so many threads attend the slot's loop, and nobody writes the slot. */
void
scene_expect_waiters(const struct segment_slot *slot, unsigned count);

/* Call act(arg) in a thread that ends with it. */
void
scene_in_thread(void (*act)(void *arg), void *arg);

/* The same in a thread that lives on. */
void
scene_in_lasting_thread(void (*act)(void *arg), void *arg);

/* The same in a forked child, which is killed by SIGKILL after it. */
void
scene_in_child(void (*act)(void *arg), void *arg);

#endif
