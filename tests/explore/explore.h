/* SPDX-License-Identifier: MIT */
/*
 * Runs a few threads in every order that they can take, and the real code in them: sources
 * that are compiled with -fsanitize=thread call a function for each access to memory, and
 * here these functions (hooks.c) let another thread go first wherever that may matter.
 *
 *	execution    o---A---A---B---A---B---B---o   end(): is all well?
 *	                      \
 *	another one            B---A---B---A---B---o
 *
 * Threads are coroutines. A step is one access to a word that several of them use and one
 * of them writes; which words these are is learnt on the way, and then it begins anew. The
 * orders are tried depth first; of a state that was seen before nothing is tried again,
 * where a state is those words and what each thread has read so far: the code does the same
 * where it reads the same.
 *
 * Orders of memory: with `buffered`, any atomic store, but one of a thread at a time, may
 * become visible later than those behind it, as far as C11 allows for releases, fences and
 * stores to the same word. Loads happen in their order, and a swap is visible at once. What
 * is left out (late loads and swaps, several
 * late stores, plain accesses that a compiler moves) is the thread sanitizer's
 * (tests/check_races.c).
 */
#ifndef LOOPLAG_TESTS_EXPLORE_EXPLORE_H
#define LOOPLAG_TESTS_EXPLORE_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPLORE_THREADS 4

/* Defects to be found, for tests of the exploration itself and of what is claimed to matter. */
enum explore_defect {
	EXPLORE_SOUND,
	EXPLORE_NO_RELEASE, /* no store, no fence and no exchange releases anything */
	EXPLORE_SPLIT_SWAP, /* a compare-and-swap compares, and swaps a moment later */
};

struct explore_scenario {
	unsigned count;
	void (*threads[EXPLORE_THREADS])(void);
	unsigned after[EXPLORE_THREADS]; /* it starts when these, as bits, are done */
	unsigned mortal;                 /* one of these, as bits, may die anywhere */
	bool buffered;
	enum explore_defect defect;
	/* Where the memory of that name lies: lets a failure be told in words. */
	const char *(*name)(const void *address);
	void (*begin)(void); /* before each execution */
	void (*died)(unsigned thread);
	void (*wrote)(unsigned thread, const void *address); /* after it has */
	void (*end)(void);                                   /* all are done, or dead */
	/* A thread's own memory, which is another one's in its turn: thread-local. */
	void *local;
	size_t local_bytes;
};

struct explore_result {
	const char
		*failure; /* what went wrong and how it came to that; NULL: nothing did */
	uint64_t executions, states;
	unsigned words; /* that several threads use */
	unsigned steps; /* of the longest execution */
};

/* Try every order. The memory that the threads change is what it was then, but for what
 * begin() sets. */
struct explore_result
explore(const struct explore_scenario *scenario);

/* In a thread, begin() or end(): this must not be. Does not return. */
_Noreturn __attribute__((format(printf, 1, 2))) void
explore_fail(const char *format, ...);

/* The thread that runs, or -1. */
int
explore_self(void);

/* Copy a word, or less of one, that others may write, as a system call does. The memory that
 * it goes to is the thread's alone, and need not be restored. Returns whether it was a step. */
bool
explore_read(void *to, const void *from, size_t bytes);

/* Of all that the running thread has read, this is what it still knows: what it does from now
 * on depends on nothing else. */
void
explore_recall(uint64_t value);

/* A step in which the thread does nothing. */
void
explore_pause(void);

/* Call it in one go: what it does is no step. */
void
explore_aside(void (*look)(void));

/* Write to memory with no step in between, as the kernel or somebody outside does. */
void
explore_poke(uint32_t *word, uint32_t value);

#endif
