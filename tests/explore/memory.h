/* SPDX-License-Identifier: MIT */
/* The memory that the threads change: which words several of them use, and what it was. */
#ifndef LOOPLAG_TESTS_EXPLORE_MEMORY_H
#define LOOPLAG_TESTS_EXPLORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* realloc() that ends the program without memory. */
void *
memory_grow(void *memory, size_t bytes);

/* Keep what the word of that address is now, which is about to be written. */
void
memory_keep(uintptr_t address);

/* Make all that was kept what it was. */
void
memory_restore(void);

/* Note that the thread uses the word. Returns whether it is now known that several do, and
 * one writes it, and was not before: such a word is shared. */
bool
memory_use(int thread, uintptr_t address, bool writes);
bool
memory_is_shared(uintptr_t address);

/* How many words are shared. */
unsigned
memory_shared(void);

/* Mix the values of all shared words into a number. */
uint64_t
memory_hash(uint64_t hash);

/* From now on no word is known to be shared. */
void
memory_forget(void);

#endif
