/* SPDX-License-Identifier: MIT */
/*
 * Futex waits need no privilege and work on a read-only shared map. The bell's word is
 * read by process_vm_readv, not by a load: a daemon that truncates its file must not be
 * able to kill anybody.
 */

#include "probes/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "probes/loops.h"
#include "probes/symbols.h"

#define DOORBELL "doorbell"
#define STACK_BYTES (256 * 1024)

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static const struct segment_doorbell *doorbell; /* NULL: none */
static uint64_t (*clock_now_ns)(void);

/* The path beside the socket. Returns -1 if it does not fit. */
static int
doorbell_path(const char *socket, char ret_path[SETTINGS_PATH_BYTES])
{
	const char *slash = strrchr(socket, '/');
	size_t directory = slash ? (size_t)(slash - socket) + 1 : 0;

	if (!slash || directory + sizeof(DOORBELL) > SETTINGS_PATH_BYTES)
		return -1;
	memcpy(ret_path, socket, directory);
	memcpy(ret_path + directory, DOORBELL, sizeof(DOORBELL));
	return 0;
}

void
helper_prepare(const struct registration *registration)
{
	enum settings_helper wish = registration->settings.helper;
	char path[SETTINGS_PATH_BYTES];
	void *page;
	int fd;

	if (wish == SETTINGS_HELPER_NEVER ||
		(wish == SETTINGS_HELPER_AUTO && !registration->runtime) ||
		doorbell_path(registration->settings.socket, path))
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	if (lseek(fd, 0, SEEK_END) >= (off_t)SEGMENT_PAGE) {
		page = mmap(NULL, SEGMENT_PAGE, PROT_READ, MAP_SHARED, fd, 0);
		if (page != MAP_FAILED)
			doorbell = page;
	}
	close(fd);
}

/* Read the bell's word. Returns -1 if the doorbell is not there any more. */
static int
read_bell(uint32_t *ret_value)
{
	struct iovec to = {.iov_base = ret_value, .iov_len = sizeof(*ret_value)};
	struct iovec from = {
		.iov_base = (void *)&doorbell->daemon, .iov_len = sizeof(*ret_value)};

	return syscall(SYS_process_vm_readv, getpid(), &to, 1, &from, 1, 0) ==
			       (long)sizeof(*ret_value)
		       ? 0
		       : -1;
}

/* Part with the program's descriptor table. */
static int
leave_descriptors(void)
{
	/* Without close_range the private table would keep the program's files open. */
	if (syscall(SYS_close_range, UINT_MAX, UINT_MAX, 0) ||
		syscall(SYS_unshare, 0x400 /* CLONE_FILES */))
		return -1;
	return syscall(SYS_close_range, 0, UINT_MAX, 0) ? -1 : 0;
}

static void *
run(void *arg)
{
	struct registration *registration = arg;
	struct segment segment;
	uint32_t heard, value;

	(void)prctl(PR_SET_NAME, "looplag", 0, 0, 0);
	if (leave_descriptors() || read_bell(&heard))
		return NULL;
	for (;;) {
		if (syscall(SYS_futex, &doorbell->daemon, FUTEX_WAIT, heard, NULL, NULL,
			    0) &&
			errno != EAGAIN && errno != EINTR)
			return NULL;
		if (read_bell(&value))
			return NULL;
		if (value == heard)
			continue;
		heard = value;
		if (registration_make(registration, clock_now_ns(), &segment))
			return NULL;
		loops_move(&segment);
	}
}

/* Start the thread with every signal blocked. */
static void
start(struct registration *registration)
{
	int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
	int (*attr_init)(pthread_attr_t *);
	int (*attr_destroy)(pthread_attr_t *);
	int (*set_stack)(pthread_attr_t *, size_t);
	int (*set_detached)(pthread_attr_t *, int);
	int (*set_mask)(int, const sigset_t *, sigset_t *);
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;

	*(void **)&create = symbols_libc("pthread_create");
	*(void **)&attr_init = symbols_libc("pthread_attr_init");
	*(void **)&attr_destroy = symbols_libc("pthread_attr_destroy");
	*(void **)&set_stack = symbols_libc("pthread_attr_setstacksize");
	*(void **)&set_detached = symbols_libc("pthread_attr_setdetachstate");
	*(void **)&set_mask = symbols_libc("pthread_sigmask");
	if (!create || !attr_init || !attr_destroy || !set_stack || !set_detached ||
		!set_mask || attr_init(&attr))
		return;
	sigfillset(&all);
	if (set_stack(&attr, STACK_BYTES) == 0 &&
		set_detached(&attr, PTHREAD_CREATE_DETACHED) == 0 &&
		set_mask(SIG_SETMASK, &all, &before) == 0) {
		(void)create(&thread, &attr, run, registration);
		(void)set_mask(SIG_SETMASK, &before, NULL);
	}
	attr_destroy(&attr);
}

void
helper_start(struct registration *registration, uint64_t (*clock_ns)(void))
{
	int saved = errno;

	clock_now_ns = clock_ns;
	if (doorbell)
		start(registration);
	errno = saved;
}
