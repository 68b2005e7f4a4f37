/* SPDX-License-Identifier: MIT */
/* What a process has mapped; see mappings.h. */

#include "config.h"

#include "daemon/mappings.h"

#include <elf.h>
#include <inttypes.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "daemon/build_id.h"

#define LINES_MAX 65536 /* as many as the kernel lets there be by default */
#define OBJECTS_MAX 1024
#define SEGMENTS_MAX 64
#define NOTES_MAX 4096

struct file {
	dev_t device;
	ino_t inode;
};

struct mappings {
	struct mappings_object objects[OBJECTS_MAX]; /* by address */
	size_t count;
	struct file *files; /* all that are mapped */
	size_t file_count;
};

/* One line of the file. */
struct line {
	uint64_t start, end, offset;
	char mode[5];
	struct file file;
	const char *path; /* in the line; "" for none */
};

static bool
parse(char *text, struct line *ret_line)
{
	unsigned major_number, minor_number;
	unsigned long inode;
	int used = 0;

	if (sscanf(text, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %lu %n",
		    &ret_line->start, &ret_line->end, ret_line->mode, &ret_line->offset,
		    &major_number, &minor_number, &inode, &used) < 7)
		return false;
	ret_line->file = (struct file){
		.device = makedev(major_number, minor_number), .inode = inode};
	text[strcspn(text, "\n")] = 0;
	ret_line->path = text + used;
	return true;
}

static bool
is_same(const struct file *a, const struct file *b)
{
	return a->device == b->device && a->inode == b->inode;
}

static void
add_file(struct mappings *mappings, const struct file *file)
{
	struct file *larger;

	/* The parts of one file stand together. */
	if (!file->inode ||
		(mappings->file_count &&
			is_same(&mappings->files[mappings->file_count - 1], file)))
		return;
	/* Room is made whenever it is full: at powers of two. */
	if ((mappings->file_count & (mappings->file_count - 1)) == 0) {
		size_t room = mappings->file_count ? 2 * mappings->file_count : 1;

		larger = realloc(mappings->files, room * sizeof(*larger));
		if (!larger)
			return;
		mappings->files = larger;
	}
	mappings->files[mappings->file_count++] = *file;
}

static void
add_object(struct mappings *mappings, const struct line *line, const struct line *first)
{
	struct mappings_object *object = &mappings->objects[mappings->count];
	bool has_base = line->file.inode && is_same(&line->file, &first->file);

	if (mappings->count == OBJECTS_MAX)
		return;
	*object = (struct mappings_object){
		.start = line->start,
		.end = line->end,
		.base = has_base                            ? first->start
			: strcmp(line->path, "[vdso]") == 0 ? line->start
							    : 0,
	};
	if (object->base) {
		object->path = strdup(line->path);
		if (!object->path)
			return;
	}
	mappings->count++;
}

struct mappings *
mappings_new(FILE *maps)
{
	struct mappings *mappings = calloc(1, sizeof(*mappings));
	struct line line,
		first = {0}; /* the part of a file that begins with its header */
	char *text = NULL;
	size_t size = 0;

	for (unsigned i = 0; mappings && i < LINES_MAX && getline(&text, &size, maps) > 0;
		i++) {
		if (!parse(text, &line))
			continue;
		add_file(mappings, &line.file);
		if (line.offset == 0 && line.file.inode)
			first = line;
		if (line.mode[2] == 'x')
			add_object(mappings, &line, &first);
	}
	free(text);
	return mappings;
}

void
mappings_free(struct mappings *mappings)
{
	if (!mappings)
		return;
	for (size_t i = 0; i < mappings->count; i++)
		free((char *)mappings->objects[i].path);
	free(mappings->files);
	free(mappings);
}

bool
mappings_have(const struct mappings *mappings, dev_t device, ino_t inode)
{
	const struct file file = {.device = device, .inode = inode};

	for (size_t i = 0; i < mappings->file_count; i++)
		if (is_same(&mappings->files[i], &file))
			return true;
	return false;
}

static bool
read_at(int memory, void *to, size_t size, uint64_t address)
{
	return pread(memory, to, size, (off_t)address) == (ssize_t)size;
}

/* Look for the build id among the notes. */
static void
search_notes(struct mappings_object *object, int memory, uint64_t address, uint64_t size)
{
	char notes[NOTES_MAX];
	size_t bytes = size < NOTES_MAX ? (size_t)size : NOTES_MAX;

	if (object->build_id_bytes || !read_at(memory, notes, bytes, address))
		return;
	object->build_id_bytes = build_id_in_notes(
		notes, bytes, object->build_id, sizeof(object->build_id));
}

/* Read the program headers, which are in memory with all else. */
static void
read_headers(struct mappings_object *object, int memory)
{
	ElfW(Ehdr) header;
	ElfW(Phdr) segments[SEGMENTS_MAX];
	unsigned count;
	bool loaded = false;

	object->read = true;
	if (!object->base || !read_at(memory, &header, sizeof(header), object->base) ||
		memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
		header.e_phentsize != sizeof(*segments))
		return;
	count = header.e_phnum < SEGMENTS_MAX ? header.e_phnum : SEGMENTS_MAX;
	if (!read_at(memory, segments, count * sizeof(*segments),
		    object->base + header.e_phoff))
		return;
	for (unsigned i = 0; i < count && !loaded; i++)
		if (segments[i].p_type == PT_LOAD && segments[i].p_offset == 0) {
			object->bias = object->base - segments[i].p_vaddr;
			loaded = true;
		}
	for (unsigned i = 0; i < count && loaded; i++) {
		uint64_t address = object->bias + segments[i].p_vaddr;

		if (segments[i].p_type == PT_GNU_EH_FRAME)
			object->eh_frame_hdr = address;
		else if (segments[i].p_type == PT_NOTE)
			search_notes(object, memory, address, segments[i].p_memsz);
	}
}

const struct mappings_object *
mappings_find(struct mappings *mappings, int memory, uint64_t address)
{
	for (size_t i = 0; i < mappings->count; i++) {
		struct mappings_object *object = &mappings->objects[i];

		if (address < object->start || address >= object->end)
			continue;
		if (!object->read)
			read_headers(object, memory);
		return object->path ? object : NULL;
	}
	return NULL;
}
