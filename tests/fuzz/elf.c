/* SPDX-License-Identifier: MIT */
/*
 * Any bytes as a program or library that a target has loaded: as the file in which names of
 * functions are looked for, and as the memory in which its tables of frames are.
 */

#include "config.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/build_id.h"
#include "daemon/elf_file.h"
#include "daemon/mappings.h"
#include "tests/fuzz/fuzz.h"

#define BASE 0x100000u
#define ROOM 0x10000u

static void
check_file(int fd)
{
	struct elf_file *file = elf_file_new(dup(fd));
	char name[ELF_FILE_NAME_BYTES];

	if (!file)
		return;
	fuzz_check(elf_file_descriptor(file) >= 0);
	(void)elf_file_is_complete(file);
	(void)elf_file_debug_bytes(file);
	(void)elf_file_has_build_id(file, (const uint8_t *)"", 0);
	for (uint64_t offset = 0; offset < ROOM; offset += 256) {
		memset(name, 'x', sizeof(name));
		if (elf_file_find(file, offset, name))
			fuzz_check(memchr(name, 0, sizeof(name)));
	}
	elf_file_free(file);
}

static void
check_memory(int memory)
{
	char maps[] = "00100000-00101000 r--p 00000000 00:01 7 /srv/a b\n"
		      "00101000-00110000 r-xp 00001000 00:01 7 /srv/a b\n";
	FILE *file = fmemopen(maps, strlen(maps), "r");
	struct mappings *mappings = mappings_new(file);
	const struct mappings_object *object;

	fuzz_check(file && mappings);
	object = mappings_find(mappings, memory, BASE + 0x1234);
	fuzz_check(object && object->start <= BASE + 0x1234);
	fuzz_check(object->end > BASE + 0x1234 && object->end <= BASE + ROOM);
	fuzz_check(object->build_id_bytes <= sizeof(object->build_id));
	fuzz_check(strcmp(object->path, "/srv/a b") == 0);
	mappings_free(mappings);
	fclose(file);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int file = memfd_create("file", MFD_CLOEXEC);
	int memory = memfd_create("memory", MFD_CLOEXEC);
	uint8_t id[24];

	fuzz_check(file >= 0 && memory >= 0);
	fuzz_check(pwrite(file, data, size, 0) == (ssize_t)size);
	fuzz_check(pwrite(memory, data, size, BASE) == (ssize_t)size);
	check_file(file);
	check_memory(memory);
	fuzz_check(build_id_in_notes((const char *)data, size, id, sizeof(id)) <=
		   sizeof(id));
	close(file);
	close(memory);
	return 0;
}
