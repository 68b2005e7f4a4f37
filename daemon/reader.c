/* SPDX-License-Identifier: MIT */
/* Copies a segment piece by piece; see reader.h, and segment.h for the protocol. */

#include "config.h"

#include "daemon/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GLANCE offsetof(struct segment_slot, label)
#define HOT offsetof(struct segment_slot, ring)
#define REST (offsetof(struct segment_slot, padding) - HOT)
#define HEADER_BYTES offsetof(struct segment_header, reserved)

struct reader {
	int fd;
	struct segment_header header;
	struct segment_thread *threads; /* header.thread_count of them */
	const char *map; /* of all before the captures; NULL: there is none */
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

struct reader *
reader_new(int fd, const struct segment_header *header)
{
	struct reader *reader = calloc(1, sizeof(*reader));
	void *map = MAP_FAILED;
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
		map = mmap(NULL, header->capture_offset, PROT_READ, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED)
		reader->map = map;
	return reader;
}

void
reader_free(struct reader *reader)
{
	if (!reader)
		return;
	if (reader->map)
		munmap((void *)reader->map, reader->header.capture_offset);
	free(reader->threads);
	free(reader);
}

int
reader_read_header(int fd, struct segment_header *ret_header)
{
	return read_at(fd, ret_header, sizeof(*ret_header), 0);
}

/* Refresh what may change in the header: the rest was checked, and could be anything by
 * now. */
static int
read_header(struct reader *reader)
{
	const size_t added = offsetof(struct segment_header, slots_used);
	uint64_t used = reader->header.slots_used;
	int r;

	r = read_at(
		reader->fd, (char *)&reader->header + added, HEADER_BYTES - added, added);
	/* It only grows: what was read from a slot must not be forgotten. */
	if (reader->header.slots_used < used)
		reader->header.slots_used = used;
	return r;
}

int
reader_begin(struct reader *reader)
{
	int r = read_header(reader);

	if (r < 0)
		return r;
	return read_at(reader->fd, reader->threads,
		reader->header.thread_count * sizeof(*reader->threads),
		reader->header.threads_offset);
}

/* Copy words of the map as others write them. */
static void
copy(const struct reader *reader, uint64_t offset, void *to, size_t bytes)
{
	const uint64_t *from = (const void *)(reader->map + offset);

	for (size_t i = 0; i < bytes / sizeof(*from); i++)
		((uint64_t *)to)[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

int
reader_peek_slots(struct reader *reader)
{
	uint64_t used;

	if (!reader->map)
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

/* Read the rest of a slot whose first part is `hot`. Its state was read before its sequence,
 * and may be of a moment before it; where all is of one moment it becomes that moment's. */
static enum reader_result
read_rest(struct reader *reader, uint64_t offset, struct segment_slot *hot,
	struct segment_slot *slot)
{
	struct {
		uint64_t state;
		uint64_t sequence;
	} after;

	if (read_at(reader->fd, (char *)slot + HOT, REST, offset + HOT) < 0 ||
		read_at(reader->fd, &after, sizeof(after), offset) < 0)
		return READER_BUSY;
	if (after.state & SEGMENT_RECORDING || hot->sequence != after.sequence)
		return READER_TORN;
	hot->state = after.state;
	return READER_WHOLE;
}

enum reader_result
reader_read_slot(struct reader *reader, uint32_t index, int torn_ok, unsigned tries,
	struct segment_slot *slot)
{
	uint64_t offset = slot_offset(reader, index);
	enum reader_result result = READER_BUSY;
	struct segment_slot hot; /* its first part */

	for (unsigned i = 0; i < tries && result != READER_WHOLE; i++) {
		if (read_at(reader->fd, &hot, HOT, offset) < 0)
			return READER_BUSY;
		if (result == READER_BUSY && memcmp(&hot, slot, HOT) == 0)
			return READER_SAME;
		result = read_rest(reader, offset, &hot, slot);
	}
	if (result == READER_TORN && !torn_ok)
		result = READER_BUSY;
	if (result != READER_BUSY)
		memcpy(slot, &hot, HOT);
	return result;
}

int
reader_peek_slot(struct reader *reader, uint32_t index, struct segment_slot *slot)
{
	return read_at(reader->fd, slot, HOT, slot_offset(reader, index));
}

int
reader_peek_used_slot(struct reader *reader, uint32_t index, struct segment_slot *slot)
{
	if (!reader->map)
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
