/* SPDX-License-Identifier: MIT */
/*
 * A program that has itself killed for any system call but the few that its two threads
 * make in their loops, one by epoll_wait and one by poll, which begin in the sandbox.
 */

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALLOW(number)                                      \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static pthread_barrier_t started, sandboxed, finished;

/* No call but the waits and those of the barriers and of the end. */
static int
enter_sandbox(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_epoll_wait
		ALLOW(SYS_epoll_wait),
		ALLOW(SYS_poll),
#else
		ALLOW(SYS_epoll_pwait),
		ALLOW(SYS_ppoll),
#endif
		ALLOW(SYS_futex),
		ALLOW(SYS_write),
		ALLOW(SYS_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	struct sock_fprog program = {sizeof(filter) / sizeof(*filter), filter};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
		       &program);
}

static void *
wait_by_poll(void *unused)
{
	struct pollfd fds[2] = {{.fd = -1}, {.fd = -1}};

	pthread_barrier_wait(&started);
	pthread_barrier_wait(&sandboxed);
	for (int i = 0;; i++) {
		if (i == 100)
			pthread_barrier_wait(&finished);
		poll(fds, 2, i < 100 ? 1 : -1);
	}
	return NULL;
}

int
main(void)
{
	static const char words[] = "survived\n";
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event;
	pthread_t thread;

	pthread_barrier_init(&started, NULL, 2);
	pthread_barrier_init(&sandboxed, NULL, 2);
	pthread_barrier_init(&finished, NULL, 2);
	if (pthread_create(&thread, NULL, wait_by_poll, NULL))
		return 1;
	pthread_barrier_wait(&started);
	if (enter_sandbox()) {
		perror("sandbox");
		return 1;
	}
	pthread_barrier_wait(&sandboxed);
	for (int i = 0; i < 100; i++)
		epoll_wait(epfd, &event, 1, 1);
	pthread_barrier_wait(&finished);
	if (write(STDOUT_FILENO, words, sizeof(words) - 1) < 0)
		return 1;
	epoll_wait(epfd, &event, 1, -1);
	return 0;
}
