/* SPDX-License-Identifier: MIT */
/* A robust mutex as the kernel and libc keep it, for threads that are none: its first word
 * is the owner's tid, or tells that the owner has died. */

#include "config.h"

#include "tests/explore/mutex.h"

#include <errno.h>

#include "probes/segment.h"
#include "tests/explore/explore.h"

#define FIRST_TID 100 /* of thread 0; the one before is who sets the scene */

static int
init_attr(pthread_mutexattr_t *attr)
{
	return 0;
}

static int
set_attr(pthread_mutexattr_t *attr, int value)
{
	return 0;
}

static int
init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attr)
{
	return 0;
}

static int
try_lock(pthread_mutex_t *mutex)
{
	uint32_t *word = (uint32_t *)mutex;
	uint32_t owner = __atomic_load_n(word, __ATOMIC_RELAXED);

	if (owner && !(owner & SEGMENT_OWNER_DIED))
		return EBUSY;
	if (!__atomic_compare_exchange_n(word, &owner, mutex_tid(explore_self()), 0,
		    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return EBUSY;
	return owner ? EOWNERDEAD : 0;
}

static int
succeed(pthread_mutex_t *mutex)
{
	return 0;
}

static int
unlock(pthread_mutex_t *mutex)
{
	__atomic_store_n((uint32_t *)mutex, 0, __ATOMIC_RELEASE);
	return 0;
}

uint32_t
mutex_tid(int thread)
{
	return (uint32_t)(FIRST_TID + thread);
}

const struct slots_mutex_calls mutex_calls = {
	.attr_init = init_attr,
	.attr_setrobust = set_attr,
	.attr_setpshared = set_attr,
	.init = init,
	.trylock = try_lock,
	.consistent = succeed,
	.unlock = unlock,
};
