/* SPDX-License-Identifier: MIT */
/* See copies.h. */

#include "probes/copies.h"

#include <stdint.h>

void
copies_words(void *to, const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		__atomic_store_n(&((uint64_t *)to)[i],
			__atomic_load_n(&((const uint64_t *)from)[i], __ATOMIC_RELAXED),
			__ATOMIC_RELAXED);
}
