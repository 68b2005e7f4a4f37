/* SPDX-License-Identifier: MIT */
/* See reading.h. The calls of reader.c come here instead of to the kernel. */

#include "config.h"

#include "tests/explore/reading.h"

#include <string.h>
#include <sys/types.h>

#include "tests/explore/cast.h"

#define MOMENTS 8

static struct reader *reader;
static struct segment_slot *slot;
static struct segment_slot moments[MOMENTS];
static unsigned moment_count;

/* What the reader knows in the middle of a try. */
static struct {
	unsigned tries_left;
	uint32_t
		possible; /* moments, as bits, of which all may be that was copied so far */
	uint64_t head[2], tail[2]; /* state and sequence, before and after */
} now;

ssize_t
explore_pread(int fd, void *to, size_t bytes, off_t offset);

/* Whether those words may change at any time. */
static bool
is_added(size_t offset)
{
	return offset == offsetof(struct segment_slot, state) ||
	       offset == offsetof(struct segment_slot, events) ||
	       offset == offsetof(struct segment_slot, shared_events) ||
	       offset == offsetof(struct segment_slot, other_waits) ||
	       offset == offsetof(struct segment_slot, nested_wait_ns) ||
	       offset == offsetof(struct segment_slot, nested_since_ns) ||
	       offset == offsetof(struct segment_slot, round) ||
	       offset >= offsetof(struct segment_slot, wakeup);
}

/* The moments at which that word was what it is in the copy. */
static uint32_t
find_moments(size_t offset, const void *word)
{
	uint32_t found = 0;

	for (unsigned i = 0; i < moment_count; i++)
		if (is_added(offset) ||
			memcmp((char *)&moments[i] + offset, word, 8) == 0)
			found |= 1u << i;
	return found;
}

/* A word was read, at that place of the slot. */
static void
note(size_t offset, const void *word, bool is_tail)
{
	uint64_t known = now.tries_left;

	if (offset <= offsetof(struct segment_slot, sequence))
		memcpy(&(is_tail ? now.tail : now.head)[offset / 8], word, 8);
	if (!is_tail)
		now.possible &= find_moments(offset, word);
	for (unsigned i = 0; i < 2; i++) {
		known = known * 0x9e3779b97f4a7c15u + now.head[i];
		known = known * 0x9e3779b97f4a7c15u + now.tail[i];
	}
	known = known * 0x9e3779b97f4a7c15u + now.possible;
	explore_recall(known * 0x9e3779b97f4a7c15u + (is_tail ? 16384 : 0) + offset);
}

ssize_t
explore_pread(int fd, void *to, size_t bytes, off_t offset)
{
	const char *from = (char *)cast.segment.header + offset;
	size_t place = (size_t)(from - (char *)slot);
	bool is_head = place == 0 && bytes > 16;

	if (is_head) {
		memset(now.head, 0, sizeof(now.head));
		memset(now.tail, 0, sizeof(now.tail));
		now.tries_left--;
		now.possible = UINT32_MAX;
	}
	for (size_t i = 0; i < bytes; i += 8)
		if (explore_read((char *)to + i, from + i, 8))
			note(place + i, (char *)to + i, bytes == 16);
	return (ssize_t)bytes;
}

void
reading_set_up(struct segment_slot *slot_to_read)
{
	slot = slot_to_read;
	reader = reader_new(-1, cast.segment.header);
	moment_count = 0;
}

void
reading_keep_moment(void)
{
	moments[moment_count++] = *slot;
}

unsigned
reading_moments(void)
{
	return moment_count;
}

enum reader_result
reading_read(int torn_ok, unsigned tries, const struct segment_slot **ret_slot)
{
	static const struct segment_slot zero;
	static struct segment_slot copy;

	copy = zero;
	now.tries_left = tries;
	*ret_slot = &copy;
	return reader_read_slot(reader, (uint32_t)(slot - cast.segment.slots), torn_ok,
		tries, NULL, &copy);
}

unsigned
reading_check(const struct segment_slot *copy)
{
	uint32_t possible = UINT32_MAX;

	for (size_t i = 0; i < sizeof(*copy); i += 8)
		possible &= find_moments(i, (const char *)copy + i);
	if (!possible)
		explore_fail(
			"iterations %llu, active_ns %llu, last_ns %llu are of no moment",
			(unsigned long long)copy->iterations,
			(unsigned long long)copy->active_ns,
			(unsigned long long)copy->last_ns);
	return (unsigned)__builtin_ctz(possible);
}
