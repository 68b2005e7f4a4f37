/* SPDX-License-Identifier: MIT */
/*
 * The functions that a compiler calls for accesses to memory under -fsanitize=thread, as
 * gcc's and clang's sanitizer runtimes have them, here as steps of an exploration. The
 * plain accesses are made by the compiled code itself, right behind the call.
 */

#include "config.h"

#include <string.h>

#include "probes/copies.h"
#include "tests/explore/private.h"

void *
explore_memcpy(void *to, const void *from, size_t bytes);
void *
explore_memset(void *to, int byte, size_t bytes);
#define HOOK __attribute__((visibility("default")))

static uint64_t
peek(const void *address, size_t bytes)
{
	switch (bytes) {
	case 1:
		return *(const uint8_t *)address;
	case 2:
		return *(const uint16_t *)address;
	case 4:
		return *(const uint32_t *)address;
	default:
		return *(const uint64_t *)address;
	}
}

static void
put(void *address, size_t bytes, uint64_t value)
{
	switch (bytes) {
	case 1:
		*(uint8_t *)address = (uint8_t)value;
		break;
	case 2:
		*(uint16_t *)address = (uint16_t)value;
		break;
	case 4:
		*(uint32_t *)address = (uint32_t)value;
		break;
	default:
		*(uint64_t *)address = value;
	}
}

static bool
releases(int order)
{
	return step_defect() != EXPLORE_NO_RELEASE &&
	       (order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL ||
		       order == __ATOMIC_SEQ_CST);
}

/* A plain access, by words. What is written is told afterwards. Returns whether there was a
 * step in it. */
static bool
plain(void *address, size_t bytes, bool writes)
{
	char *at = address, *end = at + bytes;
	bool told = false;

	while (at < end) {
		size_t left = 8 - (uintptr_t)at % 8;
		struct access access = {
			.what = writes ? "write" : "read",
			.address = at,
			.bytes = left < (size_t)(end - at) ? left : (size_t)(end - at),
			.writes = writes,
			.need = NEED_WORD,
		};
		uint64_t seen = 0;

		if (step(&access)) {
			if (!writes)
				memcpy(&seen, at, access.bytes);
			step_done(&access, seen);
			told = told || access.is_step;
		}
		at += access.bytes;
	}
	return told;
}

static uint64_t
load(const volatile void *address, size_t bytes)
{
	struct access access = {
		.what = "load", .address = (void *)address, .bytes = bytes};
	bool told = step(&access);
	uint64_t seen;

	if (!step_forward(access.address, &seen))
		seen = peek(access.address, bytes);
	if (told)
		step_done(&access, seen);
	return seen;
}

static void
store(volatile void *address, size_t bytes, uint64_t value, int order)
{
	struct access access = {
		.what = "store",
		.address = (void *)address,
		.bytes = bytes,
		.writes = true,
		.need = order == __ATOMIC_SEQ_CST ? NEED_ALL : NEED_NOTHING,
	};

	if (step_buffers() && order != __ATOMIC_SEQ_CST) {
		step_buffer(access.address, bytes, value, releases(order));
		return;
	}
	if (!step(&access)) {
		put(access.address, bytes, value);
		return;
	}
	put(access.address, bytes, value);
	step_done(&access, 0);
}

enum operation { EXCHANGE, ADD, AND, OR };

static uint64_t
modify(volatile void *address, size_t bytes, enum operation operation, uint64_t operand,
	int order)
{
	struct access access = {
		.what = "modify",
		.address = (void *)address,
		.bytes = bytes,
		.writes = true,
		.need = releases(order) ? NEED_ALL : NEED_WORD,
	};
	bool told = step(&access);
	uint64_t seen = peek(access.address, bytes);

	put(access.address, bytes,
		operation == EXCHANGE ? operand
		: operation == ADD    ? seen + operand
		: operation == AND    ? seen & operand
				      : seen | operand);
	if (told)
		step_done(&access, seen);
	return seen;
}

static int
compare_and_swap(
	volatile void *address, size_t bytes, void *expected, uint64_t value, int order)
{
	struct access access = {
		.what = "swap",
		.address = (void *)address,
		.bytes = bytes,
		.writes = true,
		.need = releases(order) ? NEED_ALL : NEED_WORD,
	};
	bool told = step(&access);
	uint64_t seen = peek(access.address, bytes);

	if (seen != peek(expected, bytes)) {
		access.writes = false;
		if (told)
			step_done(&access, seen);
		put(expected, bytes, seen);
		return 0;
	}
	if (step_defect() == EXPLORE_SPLIT_SWAP && told) {
		access.writes = false;
		step_done(&access, seen);
		access.writes = true;
		told = step(&access);
	}
	put(access.address, bytes, value);
	if (told)
		step_done(&access, seen);
	return 1;
}

#define ATOMICS(bits, type)                                                            \
	type __tsan_atomic##bits##_load(const volatile type *, int);                   \
	HOOK type __tsan_atomic##bits##_load(const volatile type *a, int order)        \
	{                                                                              \
		return (type)load(a, sizeof(type));                                    \
	}                                                                              \
	void __tsan_atomic##bits##_store(volatile type *, type, int);                  \
	HOOK void __tsan_atomic##bits##_store(volatile type *a, type value, int order) \
	{                                                                              \
		store(a, sizeof(type), value, order);                                  \
	}                                                                              \
	type __tsan_atomic##bits##_exchange(volatile type *, type, int);               \
	HOOK type __tsan_atomic##bits##_exchange(                                      \
		volatile type *a, type value, int order)                               \
	{                                                                              \
		return (type)modify(a, sizeof(type), EXCHANGE, value, order);          \
	}                                                                              \
	type __tsan_atomic##bits##_fetch_add(volatile type *, type, int);              \
	HOOK type __tsan_atomic##bits##_fetch_add(volatile type *a, type v, int order) \
	{                                                                              \
		return (type)modify(a, sizeof(type), ADD, v, order);                   \
	}                                                                              \
	type __tsan_atomic##bits##_fetch_and(volatile type *, type, int);              \
	HOOK type __tsan_atomic##bits##_fetch_and(volatile type *a, type v, int order) \
	{                                                                              \
		return (type)modify(a, sizeof(type), AND, v, order);                   \
	}                                                                              \
	type __tsan_atomic##bits##_fetch_or(volatile type *, type, int);               \
	HOOK type __tsan_atomic##bits##_fetch_or(volatile type *a, type v, int order)  \
	{                                                                              \
		return (type)modify(a, sizeof(type), OR, v, order);                    \
	}                                                                              \
	int __tsan_atomic##bits##_compare_exchange_strong(                             \
		volatile type *, type *, type, int, int);                              \
	HOOK int __tsan_atomic##bits##_compare_exchange_strong(                        \
		volatile type *a, type *expected, type v, int order, int failed)       \
	{                                                                              \
		return compare_and_swap(a, sizeof(type), expected, v, order);          \
	}                                                                              \
	/* What clang calls for it. */                                                 \
	type __tsan_atomic##bits##_compare_exchange_val(                               \
		volatile type *, type, type, int, int);                                \
	HOOK type __tsan_atomic##bits##_compare_exchange_val(                          \
		volatile type *a, type expected, type v, int order, int failed)        \
	{                                                                              \
		(void)compare_and_swap(a, sizeof(type), &expected, v, order);          \
		return expected;                                                       \
	}

/* clang-format off */
ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)

#define PLAIN(bytes)                                  \
	void __tsan_read##bytes(void *);              \
	HOOK void __tsan_read##bytes(void *a)         \
	{                                             \
		plain(a, bytes, false);               \
	}                                             \
	void __tsan_write##bytes(void *);             \
	HOOK void __tsan_write##bytes(void *a)        \
	{                                             \
		plain(a, bytes, true);                \
	}                                             \
	void __tsan_unaligned_read##bytes(void *);    \
	HOOK void __tsan_unaligned_read##bytes(void *a)  \
	{                                             \
		plain(a, bytes, false);               \
	}                                             \
	void __tsan_unaligned_write##bytes(void *);   \
	HOOK void __tsan_unaligned_write##bytes(void *a) \
	{                                             \
		plain(a, bytes, true);                \
	}

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)
/* clang-format on */

void
__tsan_read_range(void *address, size_t bytes);
HOOK void
__tsan_read_range(void *address, size_t bytes)
{
	plain(address, bytes, false);
}

void
__tsan_write_range(void *address, size_t bytes);
HOOK void
__tsan_write_range(void *address, size_t bytes)
{
	plain(address, bytes, true);
}

void
__tsan_atomic_thread_fence(int order);
HOOK void
__tsan_atomic_thread_fence(int order)
{
	if (releases(order))
		step_fence();
}

void
__tsan_atomic_signal_fence(int order);
HOOK void
__tsan_atomic_signal_fence(int order)
{
}

void
__tsan_func_entry(void *pc);
HOOK void
__tsan_func_entry(void *pc)
{
}

void
__tsan_func_exit(void);
HOOK void
__tsan_func_exit(void)
{
}

void
__tsan_init(void);
HOOK void
__tsan_init(void)
{
}

/* What memcpy() and memset() are compiled to there: they would not be seen otherwise. */
void *
explore_memcpy(void *to, const void *from, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 8) {
		size_t part = bytes - i < 8 ? bytes - i : 8;

		plain((char *)from + i, part, false);
		plain((char *)to + i, part, true);
		memcpy((char *)to + i, (const char *)from + i, part);
	}
	return to;
}

void *
explore_memset(void *to, int byte, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += 8) {
		size_t part = bytes - i < 8 ? bytes - i : 8;

		plain((char *)to + i, part, true);
		memset((char *)to + i, byte, part);
	}
	return to;
}

/* What clang calls for them and for structs that are assigned. */
void *
__tsan_memcpy(void *to, const void *from, size_t bytes);
HOOK void *
__tsan_memcpy(void *to, const void *from, size_t bytes)
{
	return explore_memcpy(to, from, bytes);
}

void *
__tsan_memset(void *to, int byte, size_t bytes);
HOOK void *
__tsan_memset(void *to, int byte, size_t bytes)
{
	return explore_memset(to, byte, bytes);
}

void
copies_words(void *to, const void *from, size_t bytes)
{
	step_copy(to, from, bytes);
	memcpy(to, from, bytes);
}

bool
explore_read(void *to, const void *from, size_t bytes)
{
	bool told = plain((void *)from, bytes, false);

	memcpy(to, from, bytes);
	return told;
}
