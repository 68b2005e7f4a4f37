/* SPDX-License-Identifier: MIT */
/*
 * Reads one segment, by pread into memory of our own: nothing that its owner does can
 * stop, crash or mislead the reading, and what comes out is a copy that stays as it is.
 * What is looked at often is copied from a map of it where that is as safe: nobody can make
 * holes in a file that is sealed against future writes, so that a page in which something
 * stood when it was read is there for ever.
 */
#ifndef LOOPLAG_DAEMON_READER_H
#define LOOPLAG_DAEMON_READER_H

#include <stdint.h>

#include "probes/segment.h"

struct reader;

/* A reader of the segment behind a descriptor that has passed the gate, with a header
 * that was checked. The descriptor is borrowed. NULL without memory. */
struct reader *
reader_new(int fd, const struct segment_header *header);
void
reader_free(struct reader *reader);

/* Read a segment's header. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
reader_read_header(int fd, struct segment_header *ret_header);

/* Refresh what reader_header() and reader_thread() tell. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
reader_begin(struct reader *reader);

/* Refresh what reader_slots() tells alone. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
reader_peek_slots(struct reader *reader);

/* The header as it was checked, with the counts added to it since. Borrowed. */
const struct segment_header *
reader_header(const struct reader *reader);

/* How many slots may have been used. */
uint32_t
reader_slots(const struct reader *reader);

/* A thread record: its owner's word, and how many threads have used it. */
struct reader_thread {
	uint32_t owner; /* tid, SEGMENT_OWNER_DIED; 0: never used */
	uint32_t generation;
	uint32_t tid; /* of its thread, living or dead; 0: unknown */
};
struct reader_thread
reader_thread(const struct reader *reader, uint32_t index);

/* Whether the owner word is that of a thread that lives. */
static inline int
reader_is_living(uint32_t owner)
{
	return owner & SEGMENT_TID_MASK && !(owner & SEGMENT_OWNER_DIED);
}

enum reader_result {
	READER_SAME,  /* nothing in it has changed since it was read last */
	READER_WHOLE, /* it was read, all of one moment */
	READER_TORN,  /* it was read, but perhaps not all of one moment */
	READER_BUSY,  /* it was written to whenever it was read */
};

#define READER_TRIES 20 /* as many as anybody needs whose writer runs */

/*
 * Read a slot, with so many tries. `slot` holds what the last reading gave, zeros at first;
 * when the answer is READER_BUSY only its fields before the ring are still that. READER_TORN
 * comes instead of that only if `torn_ok`: a writer may have died while it wrote, or write
 * all the time. With READER_WHOLE and `known`, what was read last of the iterations, counts
 * of those bands may be left out, but for the first, whose sums are the same there.
 */
enum reader_result
reader_read_slot(struct reader *reader, uint32_t index, int torn_ok, unsigned tries,
	const struct histogram *known, struct segment_slot *slot);

/*
 * Quick looks, which promise nothing about one moment. Return 0 or -errno. Of slots in
 * which something stood when this reader read them they are cheap.
 *
 * state: and the sequence; cheapest.
 * round.
 * slot: the fields before its ring; the others stay as they are; never cheap.
 * used_slot: those before its label, at least.
 * ring: of a slot.
 */
__attribute__((warn_unused_result)) int
reader_peek_state(struct reader *reader, uint32_t index, uint64_t *ret_state,
	uint64_t *ret_sequence);
__attribute__((warn_unused_result)) int
reader_peek_round(struct reader *reader, uint32_t index, uint64_t *ret_round);
__attribute__((warn_unused_result)) int
reader_peek_slot(struct reader *reader, uint32_t index, struct segment_slot *slot);
__attribute__((warn_unused_result)) int
reader_peek_used_slot(struct reader *reader, uint32_t index, struct segment_slot *slot);
__attribute__((warn_unused_result)) int
reader_peek_ring(struct reader *reader, uint32_t index,
	struct segment_long ret_ring[SEGMENT_RING]);

/* header.wakes in a map, which others write, or NULL: there is no map. Borrowed. */
const uint32_t *
reader_wakes(const struct reader *reader);

#endif
