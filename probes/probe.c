/* SPDX-License-Identifier: MIT */
/*
 * Starting the probe. All system calls are made here, before the program begins; whatever
 * fails, the program runs as if the probe were not there.
 */

#include "config.h"

#include "probes/probe.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probes/clock.h"
#include "probes/handler.h"
#include "probes/helper.h"
#include "probes/loops.h"
#include "probes/registration.h"
#include "probes/sandbox.h"
#include "probes/settings.h"
#include "probes/symbols.h"
#include "probes/waits.h"
#include "probes/wrappers.h"

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif

static struct registration registration;
static clock_function *libc_clock_gettime;

static uint64_t
clock_ns(void)
{
	return clock_read(libc_clock_gettime);
}

/* Find libc's mutexes and clock. Returns the owner word, or -1. */
static int
find_libc(void)
{
	struct slots_mutex_calls mutex;

	*(void **)&libc_clock_gettime = symbols_libc("clock_gettime");
	*(void **)&mutex.attr_init = symbols_libc("pthread_mutexattr_init");
	*(void **)&mutex.attr_setrobust = symbols_libc("pthread_mutexattr_setrobust");
	*(void **)&mutex.attr_setpshared = symbols_libc("pthread_mutexattr_setpshared");
	*(void **)&mutex.init = symbols_libc("pthread_mutex_init");
	*(void **)&mutex.trylock = symbols_libc("pthread_mutex_trylock");
	*(void **)&mutex.consistent = symbols_libc("pthread_mutex_consistent");
	*(void **)&mutex.unlock = symbols_libc("pthread_mutex_unlock");
	if (!libc_clock_gettime || !mutex.attr_init || !mutex.attr_setrobust ||
		!mutex.attr_setpshared || !mutex.init || !mutex.trylock ||
		!mutex.consistent || !mutex.unlock)
		return -1;
	return slots_setup(&mutex, (uint32_t)getpid());
}

/* A word that reads 0, and will do so again in a forked child. NULL: that cannot be had. */
static uint32_t *
make_live_word(void)
{
	void *page = mmap(NULL, SEGMENT_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, SEGMENT_PAGE, MADV_WIPEONFORK)) {
		munmap(page, SEGMENT_PAGE);
		return NULL;
	}
	return page;
}

static uint32_t
find_runtime(void)
{
	uint32_t runtime = 0;

	if (symbols_exported("_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_"))
		runtime |= SEGMENT_RUNTIME_V8;
	if (symbols_exported("Py_Initialize"))
		runtime |= SEGMENT_RUNTIME_CPYTHON;
	return runtime;
}

/* All that start() asks of the kernel, in a child that may be killed for it. */
static void
try_start(void *unused)
{
	(void)unused;
	(void)make_live_word();
	registration_try(&registration, clock_ns());
}

/* This process has its first loop. */
static void
on_first_loop(void)
{
	helper_start(&registration, clock_ns);
}

static int
start(const struct settings *settings)
{
	struct waits_calls calls = {
		.is_epoll = wrappers_is_epoll,
		.on_first_loop = on_first_loop,
		.settle = handler_settle,
	};
	struct segment segment;
	uint32_t *live;
	int owner_word;

	wrappers_resolve();
	owner_word = find_libc();
	if (owner_word < 0)
		return -1;
	registration.settings = *settings;
	registration.owner_word = owner_word;
	registration.runtime = find_runtime();
	if (sandbox_try(try_start, NULL))
		return -1;
	live = make_live_word();
	if (!live)
		return -1;
	if (registration_make(&registration, clock_ns(), &segment)) {
		munmap(live, SEGMENT_PAGE);
		return -1;
	}
	helper_prepare(&registration);
	calls.clock_gettime = libc_clock_gettime;
	waits_start(&calls);
	loops_start(&segment, live);
	return 0;
}

int
probe_start_with(const struct settings *settings)
{
	int saved = errno, result = start(settings);

	errno = saved;
	return result;
}

int
probe_start(const char *socket_path)
{
	struct settings settings;

	settings_default(&settings);
	if (strlen(socket_path) >= sizeof(settings.socket))
		return -1;
	memset(settings.socket, 0, sizeof(settings.socket));
	memcpy(settings.socket, socket_path, strlen(socket_path));
	settings.helper = SETTINGS_HELPER_NEVER;
	return probe_start_with(&settings);
}
