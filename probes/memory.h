/* SPDX-License-Identifier: MIT */
/* Looking at memory of this process that may not be there: by the kernel, not by loads. */
#ifndef LOOPLAG_PROBES_MEMORY_H
#define LOOPLAG_PROBES_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* The most that is copied at once. */
#define MEMORY_MAX 65536u

/* Copy up to the first page that is not there. Returns the number of bytes. */
size_t
memory_copy(uint64_t address, void *to, size_t bytes);

/* Copy a pointer. Returns 0 if it is not there. */
uint64_t
memory_pointer(uint64_t address);

#endif
