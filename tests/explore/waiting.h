/* SPDX-License-Identifier: MIT */
/* The wait calls of an exploration's threads. */
#ifndef LOOPLAG_TESTS_EXPLORE_WAITING_H
#define LOOPLAG_TESTS_EXPLORE_WAITING_H

#include <stddef.h>

/* What probes/waits.c keeps for each thread. */
void *
waiting_self(size_t *ret_bytes);

#endif
