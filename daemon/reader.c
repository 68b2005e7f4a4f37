/* SPDX-License-Identifier: MIT */
/* Copies a segment piece by piece; see reader.h, and segment.h for the protocol. */

#include "config.h"

#include "daemon/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GLANCE offsetof(struct segment_slot, label)
#define HOT offsetof(struct segment_slot, ring)
#define REST (offsetof(struct segment_slot, padding) - HOT)
#define HEADER_BYTES offsetof(struct segment_header, reserved)
#define THREADS_A_PAGE (SEGMENT_PAGE / sizeof(struct segment_thread))

/* Slots in the first map. */
#define HEAD_SLOTS 2

struct reader {
	/* Maps of what lies before the captures: of as much as most targets use, and of all
	 * when more is used. NULL: there is none. Those that lie side by side share page
	 * tables, and the small ones of many targets fit into few: a look at a word of each
	 * has half the cost. */
	const char *head, *all;
	struct segment_thread *threads; /* header.thread_count of them */
	int fd;
	struct segment_header header;
	/* Of each slot: those that are known to be no holes, a bit each. */
	uint8_t pages[];
};

/* Returns 0 or -errno; a file that ends too early is an error too. */
static int
read_at(int fd, void *to, size_t size, uint64_t offset)
{
	ssize_t n = pread(fd, to, size, (off_t)offset);

	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EIO;
}

/* How much of the segment is in the first map. */
static uint64_t
head_bytes(const struct reader *reader)
{
	return reader->header.slots_offset +
	       (uint64_t)HEAD_SLOTS * sizeof(struct segment_slot);
}

/* A map of the first bytes of the file, or NULL. */
static const char *
map(int fd, uint64_t bytes)
{
	void *place = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);

	return place != MAP_FAILED ? place : NULL;
}

struct reader *
reader_new(int fd, const struct segment_header *header)
{
	struct reader *reader = calloc(1, sizeof(*reader) + header->slot_count);
	int seals;

	if (!reader)
		return NULL;
	reader->threads = calloc(header->thread_count, sizeof(*reader->threads));
	if (!reader->threads) {
		free(reader);
		return NULL;
	}
	reader->fd = fd;
	reader->header = *header;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals >= 0 && seals & F_SEAL_FUTURE_WRITE)
		reader->head = map(fd, head_bytes(reader));
	return reader;
}

void
reader_free(struct reader *reader)
{
	if (!reader)
		return;
	if (reader->head)
		munmap((void *)reader->head, head_bytes(reader));
	if (reader->all)
		munmap((void *)reader->all, reader->header.capture_offset);
	free(reader->threads);
	free(reader);
}

int
reader_read_header(int fd, struct segment_header *ret_header)
{
	return read_at(fd, ret_header, sizeof(*ret_header), 0);
}

/* Where in the maps that is. */
static const void *
find(const struct reader *reader, uint64_t offset)
{
	return (offset < head_bytes(reader) ? reader->head : reader->all) + offset;
}

/* Copy words of a map as others write them. */
static void
copy(const struct reader *reader, uint64_t offset, void *to, size_t bytes)
{
	const uint64_t *from = find(reader, offset);

	for (size_t i = 0; i < bytes / sizeof(*from); i++)
		((uint64_t *)to)[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

/* Copy what is `known` to have been written to once from a map, which needs no system call;
 * all else could be a hole, which a look at the map would fill. Returns 0 or -errno. */
static int
fetch(const struct reader *reader, bool known, uint64_t offset, void *to, size_t bytes)
{
	if (!known)
		return read_at(reader->fd, to, bytes, offset);
	copy(reader, offset, to, bytes);
	return 0;
}

/* Refresh what may change in the header: the rest was checked, and could be anything by
 * now. */
static int
read_header(struct reader *reader)
{
	const size_t added = offsetof(struct segment_header, slots_used);
	uint64_t used = reader->header.slots_used;
	int r;

	r = fetch(reader, reader->head, added, (char *)&reader->header + added,
		HEADER_BYTES - added);
	/* It only grows: what was read from a slot must not be forgotten. */
	if (reader->header.slots_used < used)
		reader->header.slots_used = used;
	return r;
}

/* Refresh the thread records that have been used from a map: those that never were come
 * last. Returns whether that could be done, as no page of them could be a hole. */
static bool
copy_threads(struct reader *reader)
{
	struct segment_thread *threads = reader->threads;
	uint64_t offset = reader->header.threads_offset;

	for (uint32_t i = 0; i < reader->header.thread_count; i++) {
		if (i % THREADS_A_PAGE == 0 && !threads[i].generation)
			return false;
		copy(reader, offset + i * sizeof(*threads), &threads[i],
			sizeof(*threads));
		if (!threads[i].generation)
			break;
	}
	return true;
}

int
reader_begin(struct reader *reader)
{
	int r = read_header(reader);

	if (r < 0 || (reader->head && copy_threads(reader)))
		return r;
	return read_at(reader->fd, reader->threads,
		reader->header.thread_count * sizeof(*reader->threads),
		reader->header.threads_offset);
}

int
reader_peek_slots(struct reader *reader)
{
	uint64_t used;

	if (!reader->head)
		return read_header(reader);
	copy(reader, offsetof(struct segment_header, slots_used), &used, sizeof(used));
	if (used > reader->header.slots_used)
		reader->header.slots_used = used;
	return 0;
}

const struct segment_header *
reader_header(const struct reader *reader)
{
	return &reader->header;
}

uint32_t
reader_slots(const struct reader *reader)
{
	uint64_t used = reader->header.slots_used;

	return used < reader->header.slot_count ? (uint32_t)used
						: reader->header.slot_count;
}

struct reader_thread
reader_thread(const struct reader *reader, uint32_t index)
{
	const struct segment_thread *thread;
	uint32_t owner;

	if (index >= reader->header.thread_count)
		return (struct reader_thread){0};
	thread = &reader->threads[index];
	owner = thread->lock[reader->header.owner_word];
	return (struct reader_thread){
		.owner = owner,
		.generation = thread->generation,
		.tid = reader_is_living(owner) ? owner & SEGMENT_TID_MASK : thread->tid,
	};
}

static uint64_t
slot_offset(const struct reader *reader, uint32_t index)
{
	return reader->header.slots_offset +
	       (uint64_t)index * sizeof(struct segment_slot);
}

/* Whether these bytes of a slot are in a map, and in no hole of the file. */
static bool
is_mapped(const struct reader *reader, uint32_t index, size_t offset, size_t bytes)
{
	if (!(index < HEAD_SLOTS ? reader->head : reader->all))
		return false;
	for (size_t i = offset / SEGMENT_PAGE; i <= (offset + bytes - 1) / SEGMENT_PAGE;
		i++)
		if (!(reader->pages[index] & 1u << i))
			return false;
	return true;
}

/* Note that something was written in those pages of a slot, a bit each. */
static void
note(struct reader *reader, uint32_t index, unsigned pages)
{
	reader->pages[index] |= (uint8_t)pages;
	if (index >= HEAD_SLOTS && reader->head && !reader->all)
		reader->all = map(reader->fd, reader->header.capture_offset);
}

/* Note in which pages of a slot something was written by then. */
static void
note_pages(struct reader *reader, uint32_t index, const struct segment_slot *slot)
{
	const unsigned all = (1u << sizeof(*slot) / SEGMENT_PAGE) - 1;
	unsigned pages = 0;

	if (reader->pages[index] == all)
		return;
	for (size_t i = 0; i < offsetof(struct segment_slot, padding);
		i += sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, (const char *)slot + i, sizeof(word));
		if (word)
			pages |= 1u << i / SEGMENT_PAGE;
	}
	note(reader, index, pages);
}

/* Whether what was read of a slot since `hot` is all of that moment. Its state was read before
 * its sequence, and may be of a moment before it: it becomes that moment's. */
static enum reader_result
judge(struct reader *reader, uint32_t index, struct segment_slot *hot)
{
	struct {
		uint64_t state;
		uint64_t sequence;
	} after;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (fetch(reader, is_mapped(reader, index, 0, sizeof(after)),
		    slot_offset(reader, index), &after, sizeof(after)) < 0)
		return READER_BUSY;
	if (segment_is_written(after.state, after.sequence) ||
		hot->sequence != after.sequence)
		return READER_TORN;
	hot->state = after.state;
	return READER_WHOLE;
}

/* Read the rest of a slot whose first part is `hot`. */
static enum reader_result
read_rest(struct reader *reader, uint32_t index, struct segment_slot *hot,
	struct segment_slot *slot)
{
	if (read_at(reader->fd, (char *)slot + HOT, REST,
		    slot_offset(reader, index) + HOT) < 0)
		return READER_BUSY;
	note_pages(reader, index, slot);
	return judge(reader, index, hot);
}

/* The same from a map, but for what is as it was: the ring in `slot`, and of the histogram
 * the bands whose sums are those in `known`. READER_BUSY: that cannot be done. */
static enum reader_result
read_changes(struct reader *reader, uint32_t index, const struct histogram *known,
	struct segment_slot *hot, struct segment_slot *slot)
{
	const size_t sums = offsetof(struct segment_slot, iteration.sums_ns);
	const size_t sums_bytes = offsetof(struct segment_slot, padding) - sums;
	uint64_t offset = slot_offset(reader, index);

	if (!is_mapped(reader, index, 0, 1) ||
		!is_mapped(reader, index, sums, sums_bytes))
		return READER_BUSY;
	if (hot->long_count != slot->long_count)
		copy(reader, offset + HOT, slot->ring, sizeof(slot->ring));
	copy(reader, offset + sums, slot->iteration.sums_ns, sums_bytes);
	for (unsigned band = 0; band < HISTOGRAM_BANDS; band++) {
		unsigned first, last;
		size_t place, bytes;

		if (band && slot->iteration.sums_ns[band] == known->sums_ns[band])
			continue;
		histogram_band_buckets(band, &first, &last);
		place = offsetof(struct segment_slot, iteration.counts) +
			first * sizeof(uint64_t);
		bytes = (last + 1 - first) * sizeof(uint64_t);
		if (!is_mapped(reader, index, place, bytes))
			return READER_BUSY;
		copy(reader, offset + place, &slot->iteration.counts[first], bytes);
	}
	return judge(reader, index, hot);
}

/* Read a slot up to its ring, its sequence before what that is about. */
static int
read_hot(struct reader *reader, uint32_t index, struct segment_slot *hot)
{
	const size_t first = offsetof(struct segment_slot, iterations);
	uint64_t offset = slot_offset(reader, index);

	if (!is_mapped(reader, index, 0, HOT))
		return reader_peek_slot(reader, index, hot);
	copy(reader, offset, hot, first);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	copy(reader, offset + first, (char *)hot + first, HOT - first);
	return 0;
}

/* Whether a map shows a slot, up to its ring, as it was read: most are at rest, and that
 * needs no system call. */
static bool
is_same(const struct reader *reader, uint64_t offset, const struct segment_slot *slot)
{
	const uint64_t *now = find(reader, offset);

	for (size_t i = 0; i < HOT / sizeof(*now); i++) {
		uint64_t then;

		memcpy(&then, (const char *)slot + i * sizeof(then), sizeof(then));
		if (__atomic_load_n(&now[i], __ATOMIC_RELAXED) != then)
			return false;
	}
	return true;
}

enum reader_result
reader_read_slot(struct reader *reader, uint32_t index, int torn_ok, unsigned tries,
	const struct histogram *known, struct segment_slot *slot)
{
	enum reader_result result = READER_BUSY;
	struct segment_slot hot; /* its first part */

	if (is_mapped(reader, index, 0, HOT) &&
		is_same(reader, slot_offset(reader, index), slot))
		return READER_SAME;
	for (unsigned i = 0; i < tries && result != READER_WHOLE; i++) {
		if (read_hot(reader, index, &hot) < 0)
			return READER_BUSY;
		if (result == READER_BUSY && memcmp(&hot, slot, HOT) == 0)
			return READER_SAME;
		/* What is torn is to be all there. */
		result = known && i == 0 && tries > 1
				 ? read_changes(reader, index, known, &hot, slot)
				 : read_rest(reader, index, &hot, slot);
	}
	if (result == READER_TORN && !torn_ok)
		result = READER_BUSY;
	if (result != READER_BUSY)
		memcpy(slot, &hot, HOT);
	return result;
}

int
reader_peek_state(struct reader *reader, uint32_t index, uint64_t *ret_state,
	uint64_t *ret_sequence)
{
	uint64_t words[2]; /* the first two of a slot */
	int r = fetch(reader, is_mapped(reader, index, 0, sizeof(words)),
		slot_offset(reader, index), words, sizeof(words));

	*ret_state = words[0];
	*ret_sequence = words[1];
	return r;
}

int
reader_peek_round(struct reader *reader, uint32_t index, uint64_t *ret_round)
{
	const size_t round = offsetof(struct segment_slot, round);

	return fetch(reader, is_mapped(reader, index, round, sizeof(*ret_round)),
		slot_offset(reader, index) + round, ret_round, sizeof(*ret_round));
}

int
reader_peek_slot(struct reader *reader, uint32_t index, struct segment_slot *slot)
{
	int r = read_at(reader->fd, slot, HOT, slot_offset(reader, index));

	if (r == 0 && slot->born_ns)
		note(reader, index, 1);
	return r;
}

int
reader_peek_used_slot(struct reader *reader, uint32_t index, struct segment_slot *slot)
{
	if (!is_mapped(reader, index, 0, GLANCE))
		return reader_peek_slot(reader, index, slot);
	copy(reader, slot_offset(reader, index), slot, GLANCE);
	return 0;
}

int
reader_peek_ring(
	struct reader *reader, uint32_t index, struct segment_long ret_ring[SEGMENT_RING])
{
	return read_at(reader->fd, ret_ring, SEGMENT_RING * sizeof(*ret_ring),
		slot_offset(reader, index) + HOT);
}

const uint32_t *
reader_wakes(const struct reader *reader)
{
	return reader->head ? find(reader, offsetof(struct segment_header, wakes)) : NULL;
}
