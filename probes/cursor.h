/* SPDX-License-Identifier: MIT */
/*
 * Reading a table piece by piece through the callback of unwind.h. A read that goes wrong,
 * or over the end, gives 0 and is remembered: look at `failed` when all has been read.
 */
#ifndef LOOPLAG_PROBES_CURSOR_H
#define LOOPLAG_PROBES_CURSOR_H

#include <stdint.h>

#include "probes/unwind.h"

struct cursor {
	const struct unwind_calls *calls;
	uint64_t address, end; /* what is read next, and where the table ends */
	int failed;
	unsigned cached_bytes;
	uint64_t cached; /* the address of what is in the cache */
	uint8_t cache[64];
};

void
cursor_init(struct cursor *cursor, const struct unwind_calls *calls, uint64_t address,
	uint64_t end);

void
cursor_skip(struct cursor *cursor, uint64_t bytes);

/* A number of 1, 2, 4 or 8 bytes, without a sign. */
uint64_t
cursor_fixed(struct cursor *cursor, unsigned bytes);

/* Numbers of variable length (DWARF 5, 7.6). */
uint64_t
cursor_uleb(struct cursor *cursor);
int64_t
cursor_sleb(struct cursor *cursor);

/* A pointer in one of the encodings of LSB 5, "DWARF Exception Header Encoding". `data` is
 * what pointers relative to data are relative to. */
uint64_t
cursor_pointer(struct cursor *cursor, uint8_t encoding, uint64_t data);

#endif
