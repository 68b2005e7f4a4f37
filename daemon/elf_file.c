/* SPDX-License-Identifier: MIT */
/* Symbols of ELF files; see elf_file.h. */

#include "config.h"

#include "daemon/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/build_id.h"

#define FILE_BYTES_MAX (4ull << 30)
#define SECTIONS_MAX 4096u
#define SEGMENTS_MAX 128u
#define SYMBOLS_MAX 2000000u
#define NOTES_MAX 65536u
#define CHUNK 1024u /* symbols read at once */
#define BACK_MAX 16 /* symbols that may lie inside of another one */

struct symbol {
	uint64_t start;
	uint32_t size;
	uint32_t name;  /* where it begins among the names */
	uint8_t weight; /* of names for the same place, the one to prefer has more */
};

struct elf_file {
	int fd;
	bool loaded; /* the symbols were looked for */
	uint8_t build_id[ELF_FILE_BUILD_ID_BYTES];
	size_t build_id_bytes;
	ElfW(Shdr) table, names; /* of symbols; sh_size 0: none */
	uint64_t debug_bytes;
	struct symbol *symbols; /* by start */
	size_t count;
};

static bool
read_at(int fd, void *to, size_t size, uint64_t offset)
{
	return offset < FILE_BYTES_MAX &&
	       pread(fd, to, size, (off_t)offset) == (ssize_t)size;
}

/* Find the path below that directory, where links lead nowhere else if that can be had. */
static int
find_in(int root, const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));

	/* RestrictSUIDSGID= of systemd takes that call away, as sandboxes do. Whether a
	 * link has led to another file is told by its build id then. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		fd = openat(root, path + strspn(path, "/"), O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int
elf_file_open_path(const char *path, pid_t pid)
{
	char link[64];
	struct stat st;
	int root, place, fd = -ENOENT;

	if (pid)
		snprintf(link, sizeof(link), "/proc/%d/root", (int)pid);
	else
		strcpy(link, "/");
	if (*path != '/')
		return -ENOENT;
	root = open(link, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return -errno;
	place = find_in(root, path);
	close(root);
	if (place < 0)
		return place;
	/* What O_PATH has found is only looked at, until it is known to be a file. */
	if (fstat(place, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
		(uint64_t)st.st_size > FILE_BYTES_MAX) {
		close(place);
		return -EINVAL;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", place);
	fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		fd = -errno;
	close(place);
	return fd;
}

/* Look for the build id among the notes. */
static void
search_notes(struct elf_file *file, uint64_t offset, uint64_t size)
{
	char *notes;

	if (size > NOTES_MAX || file->build_id_bytes)
		return;
	notes = malloc(size + 1);
	if (!notes || !read_at(file->fd, notes, size, offset)) {
		free(notes);
		return;
	}
	file->build_id_bytes =
		build_id_in_notes(notes, size, file->build_id, sizeof(file->build_id));
	free(notes);
}

static void
read_segments(struct elf_file *file, const ElfW(Ehdr) * header)
{
	ElfW(Phdr) segment;

	if (header->e_phentsize != sizeof(segment))
		return;
	for (unsigned i = 0; i < header->e_phnum && i < SEGMENTS_MAX; i++)
		if (read_at(file->fd, &segment, sizeof(segment),
			    header->e_phoff + i * sizeof(segment)) &&
			segment.p_type == PT_NOTE)
			search_notes(file, segment.p_offset, segment.p_filesz);
}

/* The sections that matter. A file without any only has no names. */
static void
read_sections(struct elf_file *file, const ElfW(Ehdr) * header)
{
	uint32_t count = header->e_shnum < SECTIONS_MAX ? header->e_shnum : SECTIONS_MAX;
	ElfW(Shdr) * sections;
	char name[12];

	if (header->e_shentsize != sizeof(*sections) || count == 0)
		return;
	sections = calloc(count, sizeof(*sections));
	if (!sections || !read_at(file->fd, sections, count * sizeof(*sections),
				 header->e_shoff)) {
		free(sections);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		const ElfW(Shdr) *section = &sections[i];

		if (section->sh_type == SHT_NOTE)
			search_notes(file, section->sh_offset, section->sh_size);
		if ((section->sh_type == SHT_SYMTAB ||
			    (section->sh_type == SHT_DYNSYM &&
				    file->table.sh_type != SHT_SYMTAB)) &&
			section->sh_link < count &&
			sections[section->sh_link].sh_type == SHT_STRTAB) {
			file->table = *section;
			file->names = sections[section->sh_link];
		}
		if (section->sh_type == SHT_PROGBITS && header->e_shstrndx < count &&
			section->sh_name < sections[header->e_shstrndx].sh_size &&
			read_at(file->fd, name, sizeof(name),
				sections[header->e_shstrndx].sh_offset +
					section->sh_name) &&
			memcmp(name, ".debug_info", sizeof(name)) == 0)
			file->debug_bytes = section->sh_size;
	}
	free(sections);
}

struct elf_file *
elf_file_new(int fd)
{
	struct elf_file *file;
	ElfW(Ehdr) header;

	if (!read_at(fd, &header, sizeof(header), 0) ||
		memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
		header.e_ident[EI_CLASS] !=
			(sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32) ||
		header.e_ident[EI_DATA] !=
			(__BYTE_ORDER == __LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB))
		return NULL;
	file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->fd = fd;
	read_segments(file, &header);
	read_sections(file, &header);
	return file;
}

void
elf_file_free(struct elf_file *file)
{
	if (!file)
		return;
	close(file->fd);
	free(file->symbols);
	free(file);
}

int
elf_file_descriptor(const struct elf_file *file)
{
	return file->fd;
}

bool
elf_file_has_build_id(const struct elf_file *file, const uint8_t *id, size_t bytes)
{
	return file->build_id_bytes == bytes && memcmp(file->build_id, id, bytes) == 0;
}

bool
elf_file_is_complete(const struct elf_file *file)
{
	return file->table.sh_type == SHT_SYMTAB;
}

uint64_t
elf_file_debug_bytes(const struct elf_file *file)
{
	return file->debug_bytes;
}

static int
compare(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (int)x->weight - (int)y->weight;
}

/* Keep what is a function. */
static void
take_symbol(struct elf_file *file, const ElfW(Sym) * from)
{
	unsigned type = ELF64_ST_TYPE(from->st_info), bind = ELF64_ST_BIND(from->st_info);
	struct symbol *symbol = &file->symbols[file->count];

	if ((type != STT_FUNC && type != STT_GNU_IFUNC) || from->st_shndx == SHN_UNDEF ||
		from->st_size == 0 || from->st_name == 0)
		return;
	*symbol = (struct symbol){
		.start = from->st_value,
		.size = from->st_size < UINT32_MAX ? (uint32_t)from->st_size : UINT32_MAX,
		.name = from->st_name,
		.weight = bind == STB_LOCAL  ? 0
			  : bind == STB_WEAK ? 1
					     : 2,
	};
	file->count++;
}

static void
load(struct elf_file *file)
{
	uint64_t total = file->table.sh_size / sizeof(ElfW(Sym));
	ElfW(Sym) *chunk = NULL;
	char underscore;

	file->loaded = true;
	if (total == 0 || total > SYMBOLS_MAX)
		return;
	file->symbols = calloc(total, sizeof(*file->symbols));
	chunk = calloc(CHUNK, sizeof(*chunk));
	for (uint64_t i = 0; file->symbols && chunk && i < total; i += CHUNK) {
		size_t n = total - i < CHUNK ? (size_t)(total - i) : CHUNK;

		if (!read_at(file->fd, chunk, n * sizeof(*chunk),
			    file->table.sh_offset + i * sizeof(*chunk)))
			break;
		for (size_t j = 0; j < n; j++)
			take_symbol(file, &chunk[j]);
	}
	free(chunk);
	qsort(file->symbols, file->count, sizeof(*file->symbols), compare);
	/* Among names for one place those that the program's people use have no underscore
	 * before them: nanosleep, not __nanosleep. */
	for (size_t i = 0; i < file->count; i++) {
		struct symbol *symbol = &file->symbols[i];
		bool alone = (i == 0 || symbol[-1].start != symbol->start) &&
			     (i + 1 == file->count || symbol[1].start != symbol->start);

		if (!alone && read_at(file->fd, &underscore, 1,
				      file->names.sh_offset + symbol->name))
			symbol->weight |= underscore != '_' ? 4 : 0;
	}
	qsort(file->symbols, file->count, sizeof(*file->symbols), compare);
}

/* Read the name of a symbol. */
static bool
read_name(const struct elf_file *file, const struct symbol *symbol,
	char ret_name[ELF_FILE_NAME_BYTES])
{
	ssize_t n;

	if (symbol->name >= file->names.sh_size)
		return false;
	n = pread(file->fd, ret_name, ELF_FILE_NAME_BYTES - 1,
		(off_t)(file->names.sh_offset + symbol->name));
	if (n <= 0)
		return false;
	ret_name[n] = 0;
	return *ret_name != 0;
}

bool
elf_file_find(struct elf_file *file, uint64_t offset, char ret_name[ELF_FILE_NAME_BYTES])
{
	size_t from = 0, to;

	if (!file->loaded)
		load(file);
	to = file->count;
	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (file->symbols[middle].start <= offset)
			from = middle + 1;
		else
			to = middle;
	}
	for (int back = 0; from > 0 && back < BACK_MAX; back++) {
		const struct symbol *symbol = &file->symbols[--from];

		if (offset - symbol->start < symbol->size)
			return read_name(file, symbol, ret_name);
	}
	return false;
}
