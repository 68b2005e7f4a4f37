/* SPDX-License-Identifier: MIT */
/* One word for each descriptor, changed by compare-and-swap: the epoch in its upper half,
 * then the waiters, then the number of the loop. */

#include "probes/descriptors.h"

#define NUMBER 0xffffull
#define MAKING NUMBER
#define WAITER 0x10000ull
#define WAITERS (0xffffull * WAITER)

static uint64_t words[DESCRIPTORS];

static int
is_known(intptr_t descriptor)
{
	return descriptor >= 0 && descriptor < DESCRIPTORS;
}

/* A word with nobody and nothing, in this epoch. */
static uint64_t
empty(uint32_t epoch)
{
	return (uint64_t)epoch << 32;
}

static uint64_t
load(intptr_t descriptor)
{
	return __atomic_load_n(&words[descriptor], __ATOMIC_ACQUIRE);
}

/* What the word means in this epoch. */
static uint64_t
mean(uint64_t word, uint32_t epoch)
{
	return word >> 32 == epoch ? word : empty(epoch);
}

/* Replace the word, or learn what it is by now. */
static int
swap(intptr_t descriptor, uint64_t *word, uint64_t next)
{
	return __atomic_compare_exchange_n(
		&words[descriptor], word, next, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

uint32_t
descriptors_find(intptr_t descriptor, uint32_t epoch)
{
	uint64_t number;

	if (!is_known(descriptor))
		return 0;
	number = mean(load(descriptor), epoch) & NUMBER;
	return number == MAKING ? 0 : (uint32_t)number;
}

int
descriptors_reserve(intptr_t descriptor, uint32_t epoch)
{
	uint64_t word;

	if (!is_known(descriptor))
		return 0;
	word = load(descriptor);
	do {
		if (mean(word, epoch) & NUMBER)
			return 0;
	} while (!swap(descriptor, &word, mean(word, epoch) | MAKING));
	return 1;
}

uint32_t
descriptors_waiters(intptr_t descriptor)
{
	return (uint32_t)((load(descriptor) & WAITERS) / WAITER);
}

int
descriptors_publish(
	intptr_t descriptor, uint32_t epoch, uint32_t waiters, uint32_t number)
{
	uint64_t word = empty(epoch) | waiters * WAITER | MAKING;

	if (swap(descriptor, &word, empty(epoch) | (number ? number : waiters * WAITER)))
		return 1;
	/* Forgotten meanwhile: the loop is its maker's alone. */
	return (mean(word, epoch) & NUMBER) != MAKING;
}

void
descriptors_forget(intptr_t descriptor)
{
	if (is_known(descriptor) && load(descriptor))
		__atomic_store_n(&words[descriptor], 0, __ATOMIC_RELEASE);
}

int
descriptors_enter(intptr_t descriptor, uint32_t epoch)
{
	uint64_t word;

	if (!is_known(descriptor))
		return 0;
	word = load(descriptor);
	do {
		uint64_t number = mean(word, epoch) & NUMBER;

		if ((number && number != MAKING) || (word & WAITERS) == WAITERS)
			return 0;
	} while (!swap(descriptor, &word, mean(word, epoch) + WAITER));
	return 1;
}

uint32_t
descriptors_leave(intptr_t descriptor, uint32_t epoch)
{
	uint64_t word = load(descriptor);

	do {
		uint64_t number = mean(word, epoch) & NUMBER;

		if (number && number != MAKING)
			return (uint32_t)number;
		if (!(mean(word, epoch) & WAITERS))
			return 0;
	} while (!swap(descriptor, &word, word - WAITER));
	return 0;
}
