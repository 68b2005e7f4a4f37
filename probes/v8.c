/* SPDX-License-Identifier: MIT */
/* The probe's side of v8.h: finds V8, and the module that knows it. */

#include "probes/v8.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <string.h>

#include "probes/memory.h"
#include "probes/symbols.h"

#define PATH_BYTES 4096
#define STANDARD_LIBRARY "/libstdc++.so.6"

static int prepared;
static void *(*try_get_current)(void); /* v8::Isolate::TryGetCurrent() */
static struct {
	uint64_t start, end;
} delete_code; /* of v8::internal::Isolate::Delete() */
static const struct v8_module *module;
/* Its mutex is 55 to 65 kB from its start in V8 10 to 13. */
static uint32_t isolate_copy[2 * MEMORY_MAX / sizeof(uint32_t)];

/* What is known of the mapped objects. */
struct objects {
	int has_standard_library;
	char path[PATH_BYTES]; /* the module's, beside our own file */
};

static int
visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct objects *objects = arg;
	uintptr_t own = (uintptr_t)&prepared;
	const char *name = info->dlpi_name ? info->dlpi_name : "";
	const char *slash = strrchr(name, '/');
	size_t directory = slash ? (size_t)(slash - name) + 1 : 0;

	(void)size;
	if (slash && strcmp(slash, STANDARD_LIBRARY) == 0)
		objects->has_standard_library = 1;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		/* A relative path may mean something else by now. */
		if (ph->p_type == PT_LOAD && own - info->dlpi_addr >= ph->p_vaddr &&
			own - info->dlpi_addr < ph->p_vaddr + ph->p_memsz &&
			*name == '/' &&
			directory + sizeof(V8_MODULE_FILE) <= PATH_BYTES) {
			memcpy(objects->path, name, directory);
			memcpy(objects->path + directory, V8_MODULE_FILE,
				sizeof(V8_MODULE_FILE));
		}
	}
	return 0;
}

/* Load the module, if this process has what it is linked to. */
static void
load_module(uint64_t (*clock_ns)(void))
{
	static struct objects objects = {.path = LIBDIR "/" V8_MODULE_FILE};
	const struct v8_module *(*entry)(uint64_t(*)(void));
	void *(*libc_dlopen)(const char *, int);

	*(void **)&libc_dlopen = symbols_libc("dlopen");
	dl_iterate_phdr(visit, &objects);
	if (!libc_dlopen || !objects.has_standard_library ||
		!libc_dlopen(objects.path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE))
		return;
	*(void **)&entry = symbols_find(V8_MODULE_SYMBOL, NULL);
	if (entry)
		module = entry(clock_ns);
}

void
v8_prepare(uint64_t (*clock_ns)(void))
{
	size_t bytes;

	if (!prepared) {
		prepared = 1;
		delete_code.start = (uintptr_t)symbols_find(
			"_ZN2v88internal7Isolate6DeleteEPS1_", &bytes);
		if (delete_code.start) {
			delete_code.end = delete_code.start + bytes;
			load_module(clock_ns);
		}
		if (module)
			*(void **)&try_get_current =
				symbols_find("_ZN2v87Isolate13TryGetCurrentEv", NULL);
	}
	if (module)
		module->prepare();
}

void *
v8_current(void)
{
	return try_get_current ? try_get_current() : NULL;
}

static int
in_delete(uint64_t address)
{
	return address >= delete_code.start && address < delete_code.end;
}

/* Tell whether the thread is taking down its isolate. */
static int
is_deleting(const struct v8_thread *thread)
{
	if (in_delete(thread->pc))
		return 1;
	for (size_t i = 0; i < thread->stack_words; i++)
		if (in_delete(thread->stack[i]))
			return 1;
	return 0;
}

/* Tell whether the thread has a recursive mutex that lies in its isolate, as glibc has them
 * (lock, count, owner, users, kind). */
static int
has_mutex(const struct v8_thread *thread)
{
	size_t bytes = 0;

	while (bytes < sizeof(isolate_copy)) {
		size_t part = memory_copy((uintptr_t)thread->isolate + bytes,
			(char *)isolate_copy + bytes, MEMORY_MAX);

		bytes += part;
		if (part < MEMORY_MAX)
			break;
	}
	if (!bytes)
		return 1;
	for (const uint32_t *word = isolate_copy;
		word + 5 <= isolate_copy + bytes / sizeof(*word); word += 2)
		if (word[2] == thread->tid && (word[0] == 1 || word[0] == 2) && word[1] &&
			word[4] == PTHREAD_MUTEX_RECURSIVE)
			return 1;
	return 0;
}

int
v8_ask(const struct v8_thread *thread, struct segment_capture *record, uint64_t sequence)
{
	if (!module || !thread->stack_words || is_deleting(thread) || has_mutex(thread))
		return -1;
	return module->ask(thread->isolate, thread->tid, record, sequence);
}

enum v8_answer
v8_answered(const struct segment_capture *record)
{
	return module ? module->answered(record) : V8_NONE;
}

int
v8_forget(const struct segment_capture *record)
{
	return module ? module->forget(record) : 0;
}
