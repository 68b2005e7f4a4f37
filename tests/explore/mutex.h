/* SPDX-License-Identifier: MIT */
/* Robust mutexes of the threads of an exploration. */
#ifndef LOOPLAG_TESTS_EXPLORE_MUTEX_H
#define LOOPLAG_TESTS_EXPLORE_MUTEX_H

#include <stdint.h>

#include "probes/slots.h"

extern const struct slots_mutex_calls mutex_calls;

/* The tid that a thread of the exploration has, or with -1 who sets the scene. */
uint32_t
mutex_tid(int thread);

#endif
