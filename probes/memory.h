/* SPDX-License-Identifier: MIT */
/* Looking at memory of this process that may not be there: by the kernel, not by loads. */
#ifndef LOOPLAG_PROBES_MEMORY_H
#define LOOPLAG_PROBES_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* The most that is copied at once. */
#define MEMORY_MAX 65536u

/* Know this process. To be called first, and again in a forked child. */
void
memory_start(void);

/* Copy up to the first page that is not there. Returns the number of bytes. */
size_t
memory_copy(uint64_t address, void *to, size_t bytes);

/* Copy things of one size that lie here and there, at most MEMORY_THINGS of them. Returns 0,
 * or -1 if not all of them are there. */
#define MEMORY_THINGS 512u
int
memory_gather(const uint64_t *addresses, size_t count, size_t bytes, void *to);

/* Copy a pointer. Returns 0 if it is not there. */
uint64_t
memory_pointer(uint64_t address);

#endif
