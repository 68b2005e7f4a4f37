/* SPDX-License-Identifier: MIT */
/*
 * Futex waits need no privilege and work on a read-only shared map. The words are read by
 * process_vm_readv, not by a load: a daemon that truncates its file must not be
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

#include "probes/capture.h"
#include "probes/loops.h"
#include "probes/sandbox.h"
#include "probes/symbols.h"

#define DOORBELL "doorbell"
#define STACK_BYTES (256 * 1024)

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* What the doorbell says, in the order of its page. */
struct heard {
	uint32_t daemon, stall_us, bell;
};

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

/* The system calls of a helper, of captures, and of handlers in the program's threads that
 * a program may do without, as far as they can be made for nothing. */
static void
try_calls(void *unused)
{
	uint32_t word = 0;

	(void)unused;
#ifdef SYS_clone3
	(void)syscall(SYS_clone3, NULL, 0);
#endif
	(void)prctl(PR_SET_NAME, "looplag", 0, 0, 0);
	(void)lseek(-1, 0, SEEK_END);
	(void)syscall(SYS_futex, &word, FUTEX_WAIT, 1, NULL, NULL, 0);
	(void)syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
	(void)syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	(void)syscall(SYS_getdents64, -1, NULL, 0);
	(void)syscall(SYS_nanosleep, NULL, NULL);
	(void)syscall(SYS_pipe2, NULL, O_CLOEXEC | O_NONBLOCK);
	(void)syscall(SYS_process_vm_readv, getpid(), NULL, 0, NULL, 0, 0);
	(void)syscall(SYS_readlinkat, AT_FDCWD, "/", NULL, 0);
	(void)syscall(SYS_rt_sigaction, SIGURG, NULL, NULL, sizeof(uint64_t));
	(void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, NULL, sizeof(uint64_t));
	(void)syscall(SYS_tgkill, getpid(), (uint32_t)syscall(SYS_gettid), 0);
	(void)leave_descriptors();
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
		doorbell_path(registration->settings.socket, path) ||
		sandbox_try(try_calls, NULL))
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

/* Read it. Returns -1 if the doorbell is not there any more. */
static int
read_doorbell(uint8_t bell, struct heard *ret_heard)
{
	struct iovec to = {.iov_base = ret_heard, .iov_len = sizeof(*ret_heard)};
	struct iovec from[] = {
		{.iov_base = (void *)&doorbell->daemon, .iov_len = 2 * sizeof(uint32_t)},
		{.iov_base = (void *)&doorbell->bells[bell], .iov_len = sizeof(uint32_t)},
	};

	return syscall(SYS_process_vm_readv, getpid(), &to, 1, from, 2, 0) ==
			       (long)sizeof(*ret_heard)
		       ? 0
		       : -1;
}

/* Tell readers whether stacks are taken here. */
static void
tell(enum segment_helper helper)
{
	__atomic_store_n(&loops_header()->helper, helper, __ATOMIC_RELAXED);
}

/* Do what is wanted. Returns -1 if there is no reason to go on. */
static int
answer(struct registration *registration, const struct heard *last,
	const struct heard *now, int takes_stacks)
{
	struct segment segment;

	if (now->daemon != last->daemon) {
		if (registration_make(registration, clock_now_ns(), &segment))
			return -1;
		loops_move(&segment);
		if (takes_stacks)
			tell(SEGMENT_HELPER_AWAKE);
	}
	if (now->bell != last->bell && now->stall_us && takes_stacks)
		capture_take(now->stall_us * UINT64_C(1000));
	return 0;
}

/* Do what is wanted whenever the bell rings, until there is no reason to go on. */
static void
serve(struct registration *registration, struct heard last, int takes_stacks)
{
	struct heard now;

	for (;;) {
		uint8_t bell = registration->id[0];

		if (syscall(SYS_futex, &doorbell->bells[bell], FUTEX_WAIT, last.bell,
			    NULL, NULL, 0) &&
			errno != EAGAIN && errno != EINTR)
			return;
		if (read_doorbell(bell, &now) ||
			answer(registration, &last, &now, takes_stacks))
			return;
		last = now;
	}
}

static void *
run(void *arg)
{
	struct registration *registration = arg;
	struct heard first;
	int takes_stacks;

	(void)prctl(PR_SET_NAME, "looplag", 0, 0, 0);
	if (leave_descriptors() || read_doorbell(registration->id[0], &first))
		return NULL;
	takes_stacks =
		!registration->settings.no_stacks && capture_start(clock_now_ns) == 0;
	if (takes_stacks)
		tell(SEGMENT_HELPER_AWAKE);
	serve(registration, first, takes_stacks);
	if (takes_stacks)
		tell(SEGMENT_HELPER_NONE);
	return NULL;
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
