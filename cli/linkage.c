/* SPDX-License-Identifier: MIT */
/* Reads the dynamic symbols of two libraries, by pread() with every bound checked. */

#include "config.h"

#include "cli/linkage.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SECTIONS 1024
#define MAX_BYTES (16u << 20)

#ifndef ELFW_ST_BIND
#if __ELF_NATIVE_CLASS == 64
#define ELFW_ST_BIND ELF64_ST_BIND
#else
#define ELFW_ST_BIND ELF32_ST_BIND
#endif
#endif

/* The dynamic symbols of a file. */
struct symbols {
	ElfW(Sym) * table;
	size_t count;
	char *names; /* ends with a 0 */
	size_t names_bytes;
};

static void *
read_part(int fd, uint64_t offset, uint64_t size)
{
	char *part = size > 0 && size <= MAX_BYTES ? malloc(size + 1) : NULL;

	if (!part || offset > INT64_MAX - size ||
		pread(fd, part, size, (off_t)offset) != (ssize_t)size) {
		free(part);
		return NULL;
	}
	part[size] = '\0';
	return part;
}

static void
symbols_fini(struct symbols *symbols)
{
	free(symbols->table);
	free(symbols->names);
}

/* Read the table that the sections tell of. */
static int
read_symbols(int fd, struct symbols *ret_symbols)
{
	ElfW(Ehdr) *header = read_part(fd, 0, sizeof *header);
	ElfW(Shdr) *sections = NULL;
	int r = -ENOEXEC;

	*ret_symbols = (struct symbols){0};
	if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
		header->e_shentsize != sizeof *sections || header->e_shnum > MAX_SECTIONS)
		goto out;
	sections = read_part(
		fd, header->e_shoff, header->e_shnum * (uint64_t)sizeof *sections);
	for (unsigned i = 0; sections && i < header->e_shnum; i++) {
		const ElfW(Shdr) *section = &sections[i], *names;

		if (section->sh_type != SHT_DYNSYM || section->sh_link >= header->e_shnum)
			continue;
		names = &sections[section->sh_link];
		ret_symbols->table = read_part(fd, section->sh_offset, section->sh_size);
		ret_symbols->count = section->sh_size / sizeof *ret_symbols->table;
		ret_symbols->names = read_part(fd, names->sh_offset, names->sh_size);
		ret_symbols->names_bytes = names->sh_size;
		if (ret_symbols->table && ret_symbols->names)
			r = 0;
		else
			symbols_fini(ret_symbols);
		break;
	}
out:
	free(sections);
	free(header);
	return r;
}

static int
open_symbols(const char *path, struct symbols *ret_symbols)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), r;

	if (fd < 0)
		return -errno;
	r = read_symbols(fd, ret_symbols);
	close(fd);
	return r;
}

static const char *
name_of(const struct symbols *symbols, const ElfW(Sym) * symbol)
{
	return symbol->st_name < symbols->names_bytes ? symbols->names + symbol->st_name
						      : "";
}

static bool
offers(const struct symbols *libc, const char *name)
{
	for (size_t i = 0; i < libc->count; i++)
		if (libc->table[i].st_shndx != SHN_UNDEF &&
			!strcmp(name_of(libc, &libc->table[i]), name))
			return true;
	return false;
}

int
linkage_check(const char *library, const char *libc, char ret_missing[LINKAGE_NAME_BYTES])
{
	struct symbols wanted, offered;
	int r = open_symbols(library, &wanted);

	if (r)
		return r;
	r = open_symbols(libc, &offered);
	if (r) {
		symbols_fini(&wanted);
		return r;
	}
	for (size_t i = 0; i < wanted.count && !r; i++) {
		const ElfW(Sym) *symbol = &wanted.table[i];
		const char *name = name_of(&wanted, symbol);

		if (symbol->st_shndx != SHN_UNDEF || !*name ||
			ELFW_ST_BIND(symbol->st_info) == STB_WEAK ||
			offers(&offered, name))
			continue;
		snprintf(ret_missing, LINKAGE_NAME_BYTES, "%s", name);
		r = 1;
	}
	symbols_fini(&wanted);
	symbols_fini(&offered);
	return r;
}
