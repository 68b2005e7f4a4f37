/* SPDX-License-Identifier: MIT */
/* Between the hooks, which know what is accessed, and the scheduler. */
#ifndef LOOPLAG_TESTS_EXPLORE_PRIVATE_H
#define LOOPLAG_TESTS_EXPLORE_PRIVATE_H

#include "tests/explore/explore.h"

/* What must have become visible of a thread's own stores before its next step. */
enum need { NEED_NOTHING, NEED_WORD, NEED_ALL };

struct access {
	const char *what; /* "load", ... */
	void *address;
	size_t bytes;
	bool writes;
	enum need need;
	bool is_step; /* set by step() */
};

/*
 * The running thread is about to do that, within one word. If others use the word it is a
 * step, and they may have gone first when this returns. Returns whether step_done() must tell
 * what was read: it is no memory of the thread alone. What will be written is kept to be
 * restored.
 */
bool
step(struct access *access);
void
step_done(const struct access *access, uint64_t seen);

/* It is about to copy so much that this is taken for one step: copies.h, of a slot to a place
 * that nobody else knows yet. */
void
step_copy(void *to, const void *from, size_t bytes);

/* The defect that is in force. */
enum explore_defect
step_defect(void);

/* The thread's stores that are not visible yet. */
bool
step_buffers(void);
void
step_buffer(void *address, size_t bytes, uint64_t value, bool release);
bool
step_forward(const void *address, uint64_t *ret_value);
void
step_fence(void);

#endif
