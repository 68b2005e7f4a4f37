/* SPDX-License-Identifier: MIT */
/* What CPython tells of a thread, where it is in the process. */
#ifndef LOOPLAG_PROBES_PYTHON_H
#define LOOPLAG_PROBES_PYTHON_H

#include <stddef.h>
#include <stdint.h>

/* Find CPython. By the helper, while no thread is parked: takes the loader's lock. After
 * the first time it costs nothing. */
void
python_prepare(void);

/* An address in CPython's own object; 0 without CPython. */
uint64_t
python_address(void);

/* The calling thread's state, or NULL; and whether it has the interpreter lock. In a signal
 * handler. */
void *
python_current(void);
int
python_holds_lock(void);

/* Write the Python stack of a parked thread, which is at `pc`, into a descriptor. Takes no
 * lock and no memory. Returns -1, and has written nothing, if the thread is at a place where
 * its frames are not in order; a moment later they are. */
int
python_dump(void *state, uint64_t pc, int descriptor);

#endif
