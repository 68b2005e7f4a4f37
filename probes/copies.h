/* SPDX-License-Identifier: MIT */
/* Copies of memory that others read or write at the same time. */
#ifndef LOOPLAG_PROBES_COPIES_H
#define LOOPLAG_PROBES_COPIES_H

#include <stddef.h>

/* Copy so many bytes word by word, each as a whole; all are multiples of eight. */
void
copies_words(void *to, const void *from, size_t bytes);

#endif
