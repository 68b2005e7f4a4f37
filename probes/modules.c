/* SPDX-License-Identifier: MIT */
/* See modules.h. */

#include "probes/modules.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODULES 512u

struct snapshot {
	unsigned long long adds, subs; /* what the loader had done until then */
	unsigned count;
	struct module modules[MODULES];
};

static struct snapshot snapshot;

static void
copy_path(struct module *module, const char *path)
{
	size_t length = strlen(path);
	long bytes;

	memset(module->path, 0, sizeof(module->path));
	if (!length) {
		/* The program itself has no name there. */
		bytes = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", module->path,
			sizeof(module->path));
		if (bytes < 0 || (size_t)bytes == sizeof(module->path))
			memset(module->path, 0, sizeof(module->path));
	} else if (length < sizeof(module->path)) {
		memcpy(module->path, path, length);
	}
}

/* Look for the build id among the notes (binutils' --build-id: name "GNU", type 3). */
static void
read_notes(struct module *module, const char *notes, size_t bytes)
{
	const ElfW(Nhdr) * note;
	size_t at = 0, name, description;

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

static void
describe(struct module *module, const struct dl_phdr_info *info)
{
	memset(module, 0, offsetof(struct module, path));
	module->bias = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_LOAD)
			widen(&module->start, &module->end, start, start + ph->p_memsz);
		if (ph->p_type == PT_LOAD && ph->p_flags & PF_X)
			widen(&module->code_start, &module->code_end, start,
				start + ph->p_memsz);
		if (ph->p_type == PT_GNU_EH_FRAME)
			module->eh_frame_hdr = start;
		if (ph->p_type == PT_NOTE && !module->build_id_bytes)
			read_notes(module, (const char *)start, ph->p_memsz);
	}
	copy_path(module, info->dlpi_name ? info->dlpi_name : "");
}

static int
visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	int *started = arg;

	if (!*started) {
		*started = 1;
		if (size >= offsetof(struct dl_phdr_info, dlpi_subs) +
				    sizeof(info->dlpi_subs)) {
			if (snapshot.count && info->dlpi_adds == snapshot.adds &&
				info->dlpi_subs == snapshot.subs)
				return 1;
			snapshot.adds = info->dlpi_adds;
			snapshot.subs = info->dlpi_subs;
		}
		snapshot.count = 0;
	}
	if (snapshot.count == MODULES)
		return 1;
	describe(&snapshot.modules[snapshot.count++], info);
	return 0;
}

void
modules_refresh(void)
{
	int started = 0;

	(void)dl_iterate_phdr(visit, &started);
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
