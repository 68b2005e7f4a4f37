/* SPDX-License-Identifier: MIT */
/* See cursor.h. */

#include "probes/cursor.h"

#include <string.h>

/* DW_EH_PE_*: the form in the lower half, what it is relative to in the upper one. */
enum { FORM_POINTER, FORM_ULEB, FORM_U16, FORM_U32, FORM_U64, FORM_SLEB = 9, FORM_S16 };
enum { FORM_S32 = 11, FORM_S64 = 12, FORM_MASK = 15 };
enum { TO_NOTHING, TO_PLACE = 0x10, TO_DATA = 0x30, TO_MASK = 0x70, INDIRECT = 0x80 };

#define LEB_BITS_MAX (7u * 32)

void
cursor_init(struct cursor *cursor, const struct unwind_calls *calls, uint64_t address,
	uint64_t end)
{
	cursor->calls = calls;
	cursor->address = address;
	cursor->end = end;
	cursor->failed = end < address;
	cursor->cached_bytes = 0;
	cursor->cached = 0;
}

/* Have the next bytes in the cache. Returns -1 if they are not to be had. */
static int
fill(struct cursor *cursor, unsigned bytes)
{
	uint64_t left = cursor->end - cursor->address;
	unsigned wish =
		left < sizeof(cursor->cache) ? (unsigned)left : sizeof(cursor->cache);

	if (cursor->failed || cursor->address > cursor->end || bytes > left)
		return -1;
	if (cursor->address >= cursor->cached &&
		cursor->address - cursor->cached + bytes <= cursor->cached_bytes)
		return 0;
	/* What lies behind may not be there, in a table that lies about its end. */
	for (unsigned want = wish;; want = bytes) {
		if (cursor->calls->read(cursor->calls->context, cursor->address,
			    cursor->cache, want) == 0) {
			cursor->cached = cursor->address;
			cursor->cached_bytes = want;
			return 0;
		}
		cursor->cached_bytes = 0;
		if (want == bytes)
			return -1;
	}
}

void
cursor_skip(struct cursor *cursor, uint64_t bytes)
{
	if (cursor->failed || bytes > cursor->end - cursor->address)
		cursor->failed = 1;
	else
		cursor->address += bytes;
}

uint64_t
cursor_fixed(struct cursor *cursor, unsigned bytes)
{
	const uint8_t *at;
	uint64_t value = 0;

	if (fill(cursor, bytes)) {
		cursor->failed = 1;
		return 0;
	}
	at = cursor->cache + (cursor->address - cursor->cached);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	memcpy(&value, at, bytes);
#else
	memcpy((uint8_t *)&value + sizeof(value) - bytes, at, bytes);
#endif
	cursor->address += bytes;
	return value;
}

/* Read a number of variable length, padded or not. Returns how many bits were given. */
static unsigned
read_leb(struct cursor *cursor, uint64_t *ret_value, uint8_t *ret_last)
{
	uint64_t value = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		byte = (uint8_t)cursor_fixed(cursor, 1);
		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		/* Where nobody has said how long a table is it could go on for ever. */
		if (shift > LEB_BITS_MAX)
			cursor->failed = 1;
	} while (byte & 0x80 && !cursor->failed);
	*ret_value = value;
	*ret_last = byte;
	return shift;
}

uint64_t
cursor_uleb(struct cursor *cursor)
{
	uint64_t value;
	uint8_t last;

	(void)read_leb(cursor, &value, &last);
	return cursor->failed ? 0 : value;
}

int64_t
cursor_sleb(struct cursor *cursor)
{
	uint64_t value;
	uint8_t last;
	unsigned bits = read_leb(cursor, &value, &last);

	if (bits < 64 && last & 0x40)
		value |= ~0ull << bits;
	return cursor->failed ? 0 : (int64_t)value;
}

uint64_t
cursor_pointer(struct cursor *cursor, uint8_t encoding, uint64_t data)
{
	uint64_t place = cursor->address, value;

	switch (encoding & FORM_MASK) {
	case FORM_POINTER:
	case FORM_U64:
	case FORM_S64:
		value = cursor_fixed(cursor, 8);
		break;
	case FORM_U32:
		value = cursor_fixed(cursor, 4);
		break;
	case FORM_S32:
		value = (uint64_t)(int64_t)(int32_t)cursor_fixed(cursor, 4);
		break;
	case FORM_U16:
		value = cursor_fixed(cursor, 2);
		break;
	case FORM_S16:
		value = (uint64_t)(int64_t)(int16_t)cursor_fixed(cursor, 2);
		break;
	case FORM_ULEB:
		value = cursor_uleb(cursor);
		break;
	case FORM_SLEB:
		value = (uint64_t)cursor_sleb(cursor);
		break;
	default:
		cursor->failed = 1;
		return 0;
	}
	switch (encoding & TO_MASK) {
	case TO_NOTHING:
		break;
	case TO_PLACE:
		value += place;
		break;
	case TO_DATA:
		value += data;
		break;
	default:
		cursor->failed = 1;
		return 0;
	}
	if (encoding & INDIRECT && !cursor->failed &&
		cursor->calls->read(cursor->calls->context, value, &value, sizeof(value)))
		cursor->failed = 1;
	return cursor->failed ? 0 : value;
}
