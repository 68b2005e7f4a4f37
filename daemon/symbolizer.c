/* SPDX-License-Identifier: MIT */
/*
 * Finds names for native frames; see symbolizer.h. Keeps the last modules open that were
 * asked for, by build id:
 *
 *	symbols   from the file itself, or, where it was stripped, from its debug file
 *	lines     from whichever of the two has debug information
 */

#include "config.h"

#include "daemon/symbolizer.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/capture.h"
#include "daemon/debug_lines.h"
#include "daemon/demangle.h"
#include "daemon/elf_file.h"
#include "daemon/event.h"
#include "daemon/runtimes.h"
#include "daemon/words.h"

#define MODULES 24
#define DEBUG_BYTES_MAX (64u << 20) /* of .debug_info: libdw would read all of it */
#define RETRY_NS 10000000000ull     /* a file that was not found may be found later */
#define NAMES \
	256 /* of a module that are kept: stacks are alike, and debug information slow */

struct name {
	bool found; /* what there is, if anything */
	uint64_t offset;
	char *function, *file;
	unsigned line;
};

struct module {
	char *path; /* NULL: not used */
	uint8_t build_id[CAPTURE_BUILD_ID_BYTES];
	size_t build_id_bytes;
	uint64_t used; /* by count of uses */
	uint64_t opened_ns;
	struct elf_file *file, *debug; /* NULL: there is none */
	struct debug_lines *lines;
	struct name names[NAMES]; /* by offset */
};

struct symbolizer {
	struct module modules[MODULES];
	uint64_t uses;
};

struct symbolizer *
symbolizer_new(void)
{
	return calloc(1, sizeof(struct symbolizer));
}

static void
module_close(struct module *module)
{
	debug_lines_free(module->lines);
	elf_file_free(module->file);
	elf_file_free(module->debug);
	free(module->path);
	for (size_t i = 0; i < NAMES; i++) {
		free(module->names[i].function);
		free(module->names[i].file);
	}
	memset(module, 0, sizeof(*module));
}

void
symbolizer_free(struct symbolizer *symbolizer)
{
	if (!symbolizer)
		return;
	for (size_t i = 0; i < MODULES; i++)
		module_close(&symbolizer->modules[i]);
	free(symbolizer);
}

/* Whether nobody but root and ourselves could have written it. */
static bool
is_trusted(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid()) &&
	       !(st.st_mode & S_IWOTH) &&
	       (!(st.st_mode & S_IWGRP) || st.st_gid == 0 || st.st_gid == getegid());
}

/* Open a file with that build id. NULL if there is none at the path. */
static struct elf_file *
open_file(const char *path, pid_t pid, const struct capture_module *wanted)
{
	int fd = elf_file_open_path(path, pid);
	struct elf_file *file = fd < 0 ? NULL : elf_file_new(fd);

	if (!file) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	if (elf_file_has_build_id(file, wanted->build_id, wanted->build_id_bytes))
		return file;
	elf_file_free(file);
	return NULL;
}

/* Debug information that was installed apart, where distributions put it. */
static struct elf_file *
open_debug_file(const struct capture_module *wanted)
{
	char path[64 + 2 * CAPTURE_BUILD_ID_BYTES];
	int used = snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/");

	if (wanted->build_id_bytes < 2)
		return NULL;
	for (size_t i = 0; i < wanted->build_id_bytes; i++)
		used += snprintf(path + used, sizeof(path) - (size_t)used, "%02x%s",
			wanted->build_id[i], i == 0 ? "/" : "");
	snprintf(path + used, sizeof(path) - (size_t)used, ".debug");
	return open_file(path, 0, wanted);
}

static struct debug_lines *
open_lines(const struct elf_file *file)
{
	int fd;

	if (!file || elf_file_debug_bytes(file) == 0 ||
		elf_file_debug_bytes(file) > DEBUG_BYTES_MAX)
		return NULL;
	fd = elf_file_descriptor(file);
	return is_trusted(fd) ? debug_lines_new(fd) : NULL;
}

static void
module_open(struct module *module, const struct capture_module *wanted, pid_t pid)
{
	module->path = strdup(wanted->path);
	if (!module->path)
		return;
	memcpy(module->build_id, wanted->build_id, wanted->build_id_bytes);
	module->build_id_bytes = wanted->build_id_bytes;
	module->opened_ns = event_now_ns();
	/* As the target sees it; where we may not look there, as we see it: the build id
	 * tells whether it is the same. */
	module->file = pid ? open_file(wanted->path, pid, wanted) : NULL;
	if (!module->file)
		module->file = open_file(wanted->path, 0, wanted);
	if (!module->file || !elf_file_is_complete(module->file) ||
		elf_file_debug_bytes(module->file) == 0)
		module->debug = open_debug_file(wanted);
	module->lines = open_lines(module->file);
	if (!module->lines)
		module->lines = open_lines(module->debug);
}

/* The module, opened if need be; another one may have to be closed for it. */
static struct module *
find_module(struct symbolizer *symbolizer, const struct capture_module *wanted, pid_t pid)
{
	struct module *module = NULL;

	for (size_t i = 0; i < MODULES; i++) {
		struct module *other = &symbolizer->modules[i];

		if (other->path && other->build_id_bytes == wanted->build_id_bytes &&
			memcmp(other->build_id, wanted->build_id,
				wanted->build_id_bytes) == 0 &&
			strcmp(other->path, wanted->path) == 0) {
			module = other;
			break;
		}
		if (!module || other->used < module->used)
			module = other;
	}
	/* Without a build id nothing tells that it is still the same file. */
	if (!module->path || strcmp(module->path, wanted->path) != 0 ||
		module->build_id_bytes != wanted->build_id_bytes ||
		memcmp(module->build_id, wanted->build_id, wanted->build_id_bytes) != 0 ||
		((!module->file || !module->build_id_bytes) &&
			event_now_ns() - module->opened_ns > RETRY_NS)) {
		module_close(module);
		module_open(module, wanted, pid);
	}
	module->used = ++symbolizer->uses;
	return module;
}

/* The name as people know it: without what the compiler has added to it. */
static char *
readable(const char *name)
{
	char plain[ELF_FILE_NAME_BYTES];
	size_t length;

	if (demangle(name, plain, sizeof(plain)))
		return words_clean(plain, strlen(plain));
	/* foo.part.0, foo.constprop.0, foo.cold, foo@@GLIBC_2.17 */
	length = 1 + strcspn(name + 1, ".@");
	return words_clean(name, length);
}

static void
find_name(struct module *module, struct stall_frame *frame)
{
	char name[ELF_FILE_NAME_BYTES];
	const char *function = NULL, *file = NULL;

	if (module->lines && debug_lines_find(module->lines, frame->offset, &function,
				     &file, &frame->line)) {
		if (file)
			frame->file = words_clean(file, strlen(file));
		if (function)
			frame->function = words_clean(function, strlen(function));
	}
	/* Debug information knows what was put in place, which is good to know of a program,
	 * but not of what libc calls its functions inside: __fsync. And of C++ names it has
	 * only the last part. */
	if ((module->debug && elf_file_find(module->debug, frame->offset, name)) ||
		(module->file && elf_file_find(module->file, frame->offset, name))) {
		if (frame->function && strncmp(name, "_Z", 2) != 0 &&
			!runtimes_is_libc(frame))
			return;
		free(frame->function);
		frame->function = readable(name);
	}
}

/* The same, as it was found before if it was. */
static void
name_frame(struct module *module, struct stall_frame *frame)
{
	struct name *name = &module->names[(frame->offset ^ frame->offset >> 8) % NAMES];

	if (!name->found || name->offset != frame->offset) {
		find_name(module, frame);
		free(name->function);
		free(name->file);
		*name = (struct name){.found = true, .offset = frame->offset};
		name->function = frame->function ? strdup(frame->function) : NULL;
		name->file = frame->file ? strdup(frame->file) : NULL;
		name->line = frame->line;
		return;
	}
	frame->function = name->function ? strdup(name->function) : NULL;
	frame->file = name->file ? strdup(name->file) : NULL;
	frame->line = name->line;
}

void
symbolizer_name(struct symbolizer *symbolizer, struct capture *capture, pid_t pid)
{
	for (size_t i = 0; i < capture->native_count; i++) {
		uint32_t index = capture->native_modules[i];
		const struct capture_module *wanted;
		struct module *module;

		if (index >= capture->module_count)
			continue;
		wanted = &capture->modules[index];
		if (!wanted->path || capture->natives[i].function)
			continue;
		module = find_module(symbolizer, wanted, pid);
		if (module->path)
			name_frame(module, &capture->natives[i]);
	}
}
