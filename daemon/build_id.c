/* SPDX-License-Identifier: MIT */
/* Build ids among notes; see build_id.h. */

#include "config.h"

#include "daemon/build_id.h"

#include <elf.h>
#include <link.h>
#include <string.h>

size_t
build_id_in_notes(const char *notes, size_t size, uint8_t *ret_id, size_t max)
{
	size_t at = 0;

	while (at + sizeof(ElfW(Nhdr)) <= size) {
		ElfW(Nhdr) note;
		size_t name = at + sizeof(note), descriptor, end;

		memcpy(&note, notes + at, sizeof(note));
		if (note.n_namesz > size || note.n_descsz > size)
			return 0;
		descriptor = name + ((note.n_namesz + 3u) & ~3u);
		end = descriptor + note.n_descsz;
		if (end > size)
			return 0;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
			memcmp(notes + name, "GNU", 4) == 0 && note.n_descsz <= max) {
			memcpy(ret_id, notes + descriptor, note.n_descsz);
			return note.n_descsz;
		}
		at = (end + 3u) & ~(size_t)3u;
	}
	return 0;
}
