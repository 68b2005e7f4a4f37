/* SPDX-License-Identifier: MIT */
/*
 * Symbol lookup in mapped objects: ELF gABI chapter 5 ("Hash Table"), and the GNU hash
 * table as binutils and glibc have it (a Bloom filter, buckets, chains that end with a
 * set lowest bit).
 */

#include "probes/symbols.h"

#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

#define HIDDEN_VERSION 0x8000

/* What lookups need of an object's dynamic section. */
struct object {
	uintptr_t base;
	const ElfW(Sym) * symbols;
	const char *strings;
	const char *soname;
	const uint32_t *gnu_hash;
	const uint32_t *hash;
	const ElfW(Half) * versions;
};

enum scope { SCOPE_NEXT, SCOPE_LIBC, SCOPE_ANY };

struct search {
	const char *name;
	enum scope scope;
	int passed_own;
	void *found;
	size_t bytes; /* of it */
};

/* Tell whether the object contains the address. */
static int
contains(const struct dl_phdr_info *info, uintptr_t address)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_LOAD && address >= start &&
			address < start + ph->p_memsz)
			return 1;
	}
	return 0;
}

/* glibc relocates the pointers of a dynamic section in place, musl and the vDSO do not. */
static uintptr_t
dynamic_pointer(const struct object *object, ElfW(Addr) value)
{
	return value < object->base ? object->base + value : value;
}

/* Read the dynamic section. Returns whether symbols can be looked up. */
static int
read_object(const struct dl_phdr_info *info, struct object *ret_object)
{
	const ElfW(Dyn) *dynamic = NULL;
	struct object object = {.base = info->dlpi_addr};
	ElfW(Xword) soname = 0;

	for (int i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			dynamic = (const ElfW(Dyn) *)(info->dlpi_addr +
						      info->dlpi_phdr[i].p_vaddr);
	if (!dynamic)
		return 0;
	for (; dynamic->d_tag != DT_NULL; dynamic++) {
		uintptr_t pointer = dynamic_pointer(&object, dynamic->d_un.d_ptr);

		switch (dynamic->d_tag) {
		case DT_SYMTAB:
			object.symbols = (const ElfW(Sym) *)pointer;
			break;
		case DT_STRTAB:
			object.strings = (const char *)pointer;
			break;
		case DT_GNU_HASH:
			object.gnu_hash = (const uint32_t *)pointer;
			break;
		case DT_HASH:
			object.hash = (const uint32_t *)pointer;
			break;
		case DT_VERSYM:
			object.versions = (const ElfW(Half) *)pointer;
			break;
		case DT_SONAME:
			soname = dynamic->d_un.d_val;
			break;
		default:
			break;
		}
	}
	if (!object.symbols || !object.strings || (!object.gnu_hash && !object.hash))
		return 0;
	object.soname = soname ? object.strings + soname : "";
	*ret_object = object;
	return 1;
}

/* Tell whether symbol number i is a defined, default-version function or object of that
 * name. */
static int
matches(const struct object *object, uint32_t i, const char *name)
{
	const ElfW(Sym) *symbol = &object->symbols[i];
	unsigned type = ELF64_ST_TYPE(symbol->st_info);

	return symbol->st_shndx != SHN_UNDEF && symbol->st_value &&
	       (type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_OBJECT) &&
	       !(object->versions && object->versions[i] & HIDDEN_VERSION) &&
	       strcmp(object->strings + symbol->st_name, name) == 0;
}

static uint32_t
find_by_gnu_hash(const struct object *object, const char *name)
{
	const uint32_t *table = object->gnu_hash;
	uint32_t bucket_count = table[0], offset = table[1], bloom_words = table[2];
	const ElfW(Addr) *bloom = (const ElfW(Addr) *)(table + 4);
	const uint32_t *buckets = (const uint32_t *)(bloom + bloom_words);
	const uint32_t *chains = buckets + bucket_count;
	const unsigned bits = 8 * sizeof(ElfW(Addr));
	uint32_t hash = 5381, i;
	ElfW(Addr) word;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	if (!bucket_count || !bloom_words)
		return 0;
	word = bloom[(hash / bits) % bloom_words];
	if (!((word >> (hash % bits)) & (word >> ((hash >> table[3]) % bits)) & 1))
		return 0;
	i = buckets[hash % bucket_count];
	if (i < offset)
		return 0;
	for (;; i++) {
		uint32_t chained = chains[i - offset];

		if ((chained | 1) == (hash | 1) && matches(object, i, name))
			return i;
		if (chained & 1)
			return 0;
	}
}

static uint32_t
find_by_hash(const struct object *object, const char *name)
{
	const uint32_t *table = object->hash;
	const uint32_t *buckets = table + 2, *chains = buckets + table[0];
	uint32_t hash = 0;

	for (const char *c = name; *c; c++) {
		uint32_t high;

		hash = (hash << 4) + (unsigned char)*c;
		high = hash & 0xf0000000;
		hash = (hash ^ (high >> 24)) & ~high;
	}
	if (!table[0])
		return 0;
	for (uint32_t i = buckets[hash % table[0]]; i; i = chains[i])
		if (matches(object, i, name))
			return i;
	return 0;
}

/* The address of an exported function, or NULL. */
static void *
find_in(const struct object *object, const char *name, size_t *ret_bytes)
{
	uint32_t i = object->gnu_hash ? find_by_gnu_hash(object, name)
				      : find_by_hash(object, name);
	uintptr_t address;

	if (!i)
		return NULL;
	address = object->base + object->symbols[i].st_value;
	if (ELF64_ST_TYPE(object->symbols[i].st_info) == STT_GNU_IFUNC)
		address = ((uintptr_t(*)(void))address)();
	*ret_bytes = object->symbols[i].st_size;
	return (void *)address;
}

/* Tell whether this is libc, or a part of it that older glibcs keep apart. musl's one
 * object has no soname of glibc's form, but starts programs as glibc's does. */
static int
is_libc(const struct object *object)
{
	size_t bytes;

	return strncmp(object->soname, "libpthread.so", 13) == 0 ||
	       strncmp(object->soname, "libdl.so", 8) == 0 ||
	       find_in(object, "__libc_start_main", &bytes) != NULL;
}

static int
visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct search *search = arg;
	struct object object;

	(void)size;
	if (search->scope != SCOPE_ANY && contains(info, (uintptr_t)&symbols_next)) {
		search->passed_own = 1;
		return 0;
	}
	if (search->scope == SCOPE_NEXT && !search->passed_own)
		return 0;
	if (!read_object(info, &object))
		return 0;
	if (search->scope == SCOPE_LIBC && !is_libc(&object))
		return 0;
	search->found = find_in(&object, search->name, &search->bytes);
	return search->found != NULL;
}

static struct search
find(const char *name, enum scope scope)
{
	struct search search = {.name = name, .scope = scope};

	dl_iterate_phdr(visit, &search);
	return search;
}

void *
symbols_next(const char *name)
{
	return find(name, SCOPE_NEXT).found;
}

void *
symbols_libc(const char *name)
{
	return find(name, SCOPE_LIBC).found;
}

size_t
symbols_libc_bytes(const char *name)
{
	return find(name, SCOPE_LIBC).bytes;
}

void *
symbols_find(const char *name, size_t *ret_bytes)
{
	struct search search = find(name, SCOPE_ANY);

	if (search.found && ret_bytes)
		*ret_bytes = search.bytes;
	return search.found;
}

int
symbols_exported(const char *name)
{
	return find(name, SCOPE_ANY).found != NULL;
}
