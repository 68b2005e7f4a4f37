/* SPDX-License-Identifier: MIT */
/* Source lines by libdw; see debug_lines.h. */

#include "config.h"

#include "daemon/debug_lines.h"

#include <stdlib.h>

#ifdef HAVE_LIBDW
#include <dwarf.h>
#include <elfutils/libdw.h>

struct debug_lines {
	Elf *elf;
	Dwarf *dwarf;
};

struct debug_lines *
debug_lines_new(int fd)
{
	struct debug_lines *lines = calloc(1, sizeof(*lines));

	if (!lines)
		return NULL;
	elf_version(EV_CURRENT);
	/* Read, not mapped: a file that is cut short meanwhile must not kill us. */
	lines->elf = elf_begin(fd, ELF_C_READ, NULL);
	if (lines->elf)
		lines->dwarf = dwarf_begin_elf(lines->elf, DWARF_C_READ, NULL);
	if (!lines->dwarf) {
		debug_lines_free(lines);
		return NULL;
	}
	return lines;
}

void
debug_lines_free(struct debug_lines *lines)
{
	if (!lines)
		return;
	if (lines->dwarf)
		dwarf_end(lines->dwarf);
	if (lines->elf)
		elf_end(lines->elf);
	free(lines);
}

/* The unit that the code is in. Not all compilers write the table that tells at once. */
static Dwarf_Die *
find_unit(struct debug_lines *lines, uint64_t offset, Dwarf_Die *memory)
{
	Dwarf_CU *unit = NULL;
	Dwarf_Die type;
	uint8_t kind;

	if (dwarf_addrdie(lines->dwarf, offset, memory))
		return memory;
	while (dwarf_get_units(lines->dwarf, unit, &unit, NULL, &kind, memory, &type) ==
		0)
		if (kind == DW_UT_compile && dwarf_haspc(memory, offset) > 0)
			return memory;
	return NULL;
}

/* The function, or the one that was put in its place there. */
static const char *
find_function(Dwarf_Die *unit, uint64_t offset)
{
	const char *name = NULL;
	Dwarf_Die *scopes;
	int count = dwarf_getscopes(unit, offset, &scopes);

	for (int i = 0; i < count && !name; i++) {
		int tag = dwarf_tag(&scopes[i]);

		if (tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine)
			name = dwarf_diename(&scopes[i]);
	}
	if (count > 0)
		free(scopes);
	return name;
}

bool
debug_lines_find(struct debug_lines *lines, uint64_t offset, const char **ret_function,
	const char **ret_file, unsigned *ret_line)
{
	Dwarf_Die memory, *unit = find_unit(lines, offset, &memory);
	Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, offset) : NULL;
	int number;

	if (!line || dwarf_lineno(line, &number) || number <= 0)
		return false;
	*ret_function = find_function(unit, offset);
	*ret_file = dwarf_linesrc(line, NULL, NULL);
	*ret_line = (unsigned)number;
	return true;
}

#else

struct debug_lines *
debug_lines_new(int fd)
{
	return NULL;
}

void
debug_lines_free(struct debug_lines *lines)
{
}

bool
debug_lines_find(struct debug_lines *lines, uint64_t offset, const char **ret_function,
	const char **ret_file, unsigned *ret_line)
{
	return false;
}

#endif
