/* SPDX-License-Identifier: MIT */
/*
 * The loader's list, as it keeps it for debuggers (link.h, struct r_debug). It is walked by
 * copies, without the loader's lock: dl_iterate_phdr() would take one that a child which
 * another thread forks just then inherits locked, for good. What the loader changes
 * meanwhile is seen whole at the next look, or is an object that nobody finds anything in.
 */

#include "probes/modules.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probes/memory.h"

#define MODULES MEMORY_THINGS
#define HEADERS 32
#define NOTES_BYTES 1024
#define FNV_OFFSET 0xcbf29ce484222325ull
#define FNV_PRIME 0x100000001b3ull

/* Where the loader's list is, by the names that debuggers know: glibc's, musl's. */
extern struct r_debug _r_debug __attribute__((weak));
extern struct r_debug *_dl_debug_addr __attribute__((weak));

struct snapshot {
	uint64_t hash; /* of the loader's list then */
	unsigned count;
	uint64_t maps[MODULES]; /* where its entries are */
	struct module modules[MODULES];
};

static struct snapshot snapshot;

/* The path that lies there, of the program itself if it is empty. */
static void
copy_path(struct module *module, uint64_t address)
{
	long bytes = (long)memory_copy(address, module->path, sizeof(module->path));

	if (bytes && !module->path[0])
		/* The program itself has no name there. */
		bytes = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", module->path,
			sizeof(module->path));
	for (long i = 0; i < bytes; i++)
		if (!module->path[i]) {
			bytes = i;
			break;
		}
	if (bytes < 0 || bytes == sizeof(module->path))
		bytes = 0;
	memset(module->path + bytes, 0, sizeof(module->path) - (size_t)bytes);
}

/* Look for the build id among the notes (binutils' --build-id: name "GNU", type 3). */
static void
read_notes(struct module *module, uint64_t address, size_t bytes)
{
	char notes[NOTES_BYTES] __attribute__((aligned(8)));
	const ElfW(Nhdr) * note;
	size_t at = 0, name, description;

	bytes = memory_copy(
		address, notes, bytes < sizeof(notes) ? bytes : sizeof(notes));
	while (bytes - at >= sizeof(*note)) {
		note = (const ElfW(Nhdr) *)(notes + at);
		name = at + sizeof(*note);
		description = name + ((note->n_namesz + 3u) & ~(size_t)3);
		at = description + ((note->n_descsz + 3u) & ~(size_t)3);
		if (at > bytes)
			return;
		if (note->n_type != NT_GNU_BUILD_ID || note->n_namesz != 4 ||
			memcmp(notes + name, "GNU", 4) != 0 ||
			note->n_descsz > sizeof(module->build_id))
			continue;
		module->build_id_bytes = note->n_descsz;
		memcpy(module->build_id, notes + description, note->n_descsz);
		return;
	}
}

static void
widen(uint64_t *start, uint64_t *end, uint64_t from, uint64_t to)
{
	if (!*end || from < *start)
		*start = from;
	if (to > *end)
		*end = to;
}

/* Copy the program headers of an object. Returns how many there are. */
static unsigned
copy_headers(const struct link_map *map, bool is_program, ElfW(Phdr) headers[HEADERS])
{
	uint64_t address = getauxval(AT_PHDR), count = getauxval(AT_PHNUM);
	ElfW(Ehdr) elf;

	if (!is_program) {
		if (memory_copy(map->l_addr, &elf, sizeof(elf)) != sizeof(elf) ||
			memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 ||
			elf.e_phentsize != sizeof(*headers))
			return 0;
		address = map->l_addr + elf.e_phoff;
		count = elf.e_phnum;
	}
	if (count > HEADERS)
		count = HEADERS;
	return (unsigned)(memory_copy(address, headers, count * sizeof(*headers)) /
			  sizeof(*headers));
}

static void
describe(struct module *module, const struct link_map *map, bool is_program)
{
	ElfW(Phdr) headers[HEADERS];
	unsigned count = copy_headers(map, is_program, headers);

	memset(module, 0, offsetof(struct module, path));
	module->bias = map->l_addr;
	for (unsigned i = 0; i < count; i++) {
		const ElfW(Phdr) *ph = &headers[i];
		uint64_t start = map->l_addr + ph->p_vaddr;

		if (ph->p_type == PT_LOAD)
			widen(&module->start, &module->end, start, start + ph->p_memsz);
		if (ph->p_type == PT_LOAD && ph->p_flags & PF_X)
			widen(&module->code_start, &module->code_end, start,
				start + ph->p_memsz);
		if (ph->p_type == PT_GNU_EH_FRAME)
			module->eh_frame_hdr = start;
		if (ph->p_type == PT_NOTE && !module->build_id_bytes)
			read_notes(module, start, ph->p_memsz);
	}
	copy_path(module, (uintptr_t)map->l_name);
}

/* Copy what the public part of a link_map says. Returns whether it is there. */
static bool
copy_map(uint64_t address, struct link_map *map)
{
	return address && memory_copy(address, map, sizeof(*map)) == sizeof(*map);
}

static uint64_t
first_map(void)
{
	const struct r_debug *debug = &_dl_debug_addr ? _dl_debug_addr : &_r_debug;

	return debug ? (uintptr_t)debug->r_map : 0;
}

/* Add an entry of the loader's list to a number that changes with it. */
static uint64_t
add_map(uint64_t hash, const struct link_map *map)
{
	hash = (hash ^ map->l_addr) * FNV_PRIME;
	hash = (hash ^ (uintptr_t)map->l_ld) * FNV_PRIME;
	return (hash ^ (uintptr_t)map->l_next) * FNV_PRIME;
}

/* Whether the loader's list is what it was, by one system call. */
static bool
is_unchanged(void)
{
	static struct link_map maps[MODULES];
	uint64_t hash = FNV_OFFSET;

	if (!snapshot.count || first_map() != snapshot.maps[0] ||
		memory_gather(snapshot.maps, snapshot.count, sizeof(*maps), maps))
		return false;
	for (unsigned i = 0; i < snapshot.count; i++)
		hash = add_map(hash, &maps[i]);
	return hash == snapshot.hash;
}

int
modules_refresh(void)
{
	uint64_t address = first_map();
	struct link_map map;

	if (is_unchanged())
		return 0;
	snapshot.hash = FNV_OFFSET;
	snapshot.count = 0;
	while (snapshot.count < MODULES && copy_map(address, &map)) {
		describe(&snapshot.modules[snapshot.count], &map, address == first_map());
		snapshot.maps[snapshot.count++] = address;
		snapshot.hash = add_map(snapshot.hash, &map);
		address = (uintptr_t)map.l_next;
	}
	return 1;
}

const struct module *
modules_find_code(uint64_t address)
{
	for (unsigned i = 0; i < snapshot.count; i++)
		if (address >= snapshot.modules[i].code_start &&
			address < snapshot.modules[i].code_end)
			return &snapshot.modules[i];
	return NULL;
}

const struct module *
modules_find(uint64_t address)
{
	for (unsigned i = 0; i < snapshot.count; i++)
		if (address >= snapshot.modules[i].start &&
			address < snapshot.modules[i].end)
			return &snapshot.modules[i];
	return NULL;
}
