/* SPDX-License-Identifier: MIT */
/* See memory.h. */

#include "config.h"

#include "tests/explore/memory.h"

#include <stdlib.h>
#include <string.h>

#include "tests/explore/states.h"

#define PAGE 4096
#define PAGES 64 /* that the threads use */
#define SHARED 4096

/* Which threads have used the words of a page of memory. */
struct page {
	uintptr_t address;
	struct word {
		uint8_t used, written, shared;
	} words[PAGE / 8];
};

static struct page pages[PAGES];
static unsigned page_count, last_page;
static uint64_t *shared[SHARED];
static unsigned shared_count;

/* What memory was before it was written. */
static struct {
	struct {
		uint64_t *word, value;
	} * entries;
	size_t count, room;
} journal;

void *
memory_grow(void *memory, size_t bytes)
{
	memory = realloc(memory, bytes);
	if (!memory)
		abort();
	return memory;
}

void
memory_keep(uintptr_t address)
{
	uint64_t *word = (uint64_t *)(address & ~(uintptr_t)7);

	if (journal.count == journal.room) {
		journal.room = journal.room ? 2 * journal.room : 4096;
		journal.entries = memory_grow(
			journal.entries, journal.room * sizeof(*journal.entries));
	}
	journal.entries[journal.count].word = word;
	journal.entries[journal.count++].value = *word;
}

void
memory_restore(void)
{
	while (journal.count) {
		journal.count--;
		*journal.entries[journal.count].word =
			journal.entries[journal.count].value;
	}
}

static struct word *
find_word(uintptr_t address)
{
	uintptr_t start = address & ~(uintptr_t)(PAGE - 1);

	if (last_page >= page_count || pages[last_page].address != start) {
		for (last_page = 0; last_page < page_count; last_page++)
			if (pages[last_page].address == start)
				break;
		if (last_page == PAGES)
			abort();
		if (last_page == page_count)
			pages[page_count++].address = start;
	}
	return &pages[last_page].words[address % PAGE / 8];
}

bool
memory_use(int thread, uintptr_t address, bool writes)
{
	struct word *word = find_word(address);

	word->used |= (uint8_t)(1 << thread);
	word->written |= writes;
	if (!word->written || !(word->used & (word->used - 1)) || word->shared)
		return false;
	if (shared_count == SHARED)
		abort();
	word->shared = 1;
	shared[shared_count++] = (uint64_t *)(address & ~(uintptr_t)7);
	return true;
}

bool
memory_is_shared(uintptr_t address)
{
	return find_word(address)->shared;
}

unsigned
memory_shared(void)
{
	return shared_count;
}

uint64_t
memory_hash(uint64_t hash)
{
	for (unsigned i = 0; i < shared_count; i++)
		hash = states_mix(hash, *shared[i]);
	return hash;
}

void
memory_forget(void)
{
	shared_count = 0;
	memset(pages, 0, sizeof(pages));
	page_count = 0;
}
