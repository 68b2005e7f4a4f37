/* SPDX-License-Identifier: MIT */
/*
 * A libevent program whose callbacks sleep in system calls that the kernel restarts after a
 * signal handler that was set up with SA_RESTART, see signal(7): they must never fail with
 * EINTR, nor return before they should, whatever signals its thread gets.
 *
 *	eintr ROUNDS LENGTH_MS
 *
 * Says "failed CALL: WHY" of each that did, and "calls N" after the last one.
 */

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static unsigned rounds, length_ms, calls;
static struct event *timer;

static double
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* A child that does something after the length of a stall. */
static pid_t
later(void (*function)(void *arg), const void *arg)
{
	pid_t pid = fork();

	if (pid < 0)
		abort();
	if (pid)
		return pid;
	usleep(length_ms * 1000);
	function((void *)(uintptr_t)arg);
	_exit(EXIT_SUCCESS);
}

static void
nothing(void *arg)
{
}

static void
write_byte(void *arg)
{
	if (write(*(int *)arg, "x", 1) != 1)
		abort();
}

static void
read_bytes(void *arg)
{
	static char bytes[65536];

	if (read(*(int *)arg, bytes, sizeof(bytes)) < 1)
		abort();
}

static void
open_it(void *arg)
{
	if (open(arg, O_WRONLY | O_CLOEXEC) < 0)
		abort();
}

static void
post(void *arg)
{
	uint32_t *word = arg;

	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static pid_t child;

static int
call_read(void)
{
	int ends[2];
	char byte;
	int result;

	if (pipe2(ends, O_CLOEXEC))
		abort();
	child = later(write_byte, &ends[1]);
	result = (int)read(ends[0], &byte, 1);
	close(ends[0]);
	close(ends[1]);
	return result;
}

static int
call_write(void)
{
	static char bytes[65536];
	int ends[2];
	int result;

	if (pipe2(ends, O_CLOEXEC) || write(ends[1], bytes, sizeof(bytes)) < 0)
		abort();
	child = later(read_bytes, &ends[0]);
	result = (int)write(ends[1], bytes, 1);
	close(ends[0]);
	close(ends[1]);
	return result;
}

static int
call_recv(void)
{
	int ends[2];
	char byte;
	int result;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		abort();
	child = later(write_byte, &ends[1]);
	result = (int)recv(ends[0], &byte, 1, 0);
	close(ends[0]);
	close(ends[1]);
	return result;
}

static int
call_open(void)
{
	char path[] = "/tmp/eintr-XXXXXX";
	int result;

	if (!mkdtemp(path) || chdir(path) || mkfifo("fifo", 0600))
		abort();
	child = later(open_it, "fifo");
	result = open("fifo", O_RDONLY | O_CLOEXEC);
	if (result >= 0)
		close(result);
	unlink("fifo");
	rmdir(path);
	return result < 0 ? -1 : 1;
}

static int
call_wait(void)
{
	child = later(nothing, NULL);
	return waitpid(child, NULL, 0) == child ? 1 : -1;
}

static void
unlock(void *arg)
{
	/* Ends the lock, which is the open file's, for all who share it. */
	flock(*(int *)arg, LOCK_UN);
}

static int
call_flock(void)
{
	char path[] = "/tmp/eintr-XXXXXX";
	int held = mkostemp(path, O_CLOEXEC);
	int wanted = open(path, O_RDWR | O_CLOEXEC);
	int result;

	unlink(path);
	if (held < 0 || wanted < 0 || flock(held, LOCK_EX))
		abort();
	child = later(unlock, &held);
	result = flock(wanted, LOCK_EX);
	close(held);
	close(wanted);
	return result ? -1 : 1;
}

static uint32_t *shared;

static int
call_futex(void)
{
	*shared = 0;
	child = later(post, shared);
	while (!__atomic_load_n(shared, __ATOMIC_SEQ_CST))
		if (syscall(SYS_futex, shared, FUTEX_WAIT, 0, NULL, NULL, 0) &&
			errno != EAGAIN)
			return -1;
	return 1;
}

static const struct {
	const char *name;
	int (*function)(void);
} all[] = {
	{"read", call_read},
	{"write", call_write},
	{"recv", call_recv},
	{"open", call_open},
	{"wait4", call_wait},
	{"flock", call_flock},
	{"futex", call_futex},
};
#define ALL (sizeof(all) / sizeof(all[0]))

static unsigned turns;

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct timeval gap = {.tv_usec = 20000};

	/* A loop has to wait before it is one. */
	if (turns++ > 5) {
		double start = now_ms();
		int result = all[calls % ALL].function();

		if (result != 1)
			printf("failed %s: %s\n", all[calls % ALL].name,
				result < 0 ? strerror(errno) : "a wrong result");
		else if (now_ms() - start < length_ms * 0.9)
			printf("failed %s: too early\n", all[calls % ALL].name);
		waitpid(child, NULL, 0);
		if (++calls == rounds * ALL) {
			printf("calls %u\n", calls);
			fflush(stdout);
			gap.tv_sec = 3600;
		}
	}
	event_add(timer, &gap);
}

int
main(int argc, char **argv)
{
	struct event_base *base = event_base_new();

	if (argc != 3)
		return EXIT_FAILURE;
	rounds = (unsigned)atoi(argv[1]);
	length_ms = (unsigned)atoi(argv[2]);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	timer = evtimer_new(base, on_timer, NULL);
	event_active(timer, EV_TIMEOUT, 0);
	event_base_dispatch(base);
	return EXIT_SUCCESS;
}
