/* SPDX-License-Identifier: MIT */
/*
 * A program with an event loop that makes other processes in one of the ways there are,
 * which have loops too.
 *
 * usage: forks prefork|daemon|fork|_Fork|clone|vfork|handler|storm N
 */

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/hosts/counted.h"

static int loop;

/* What a child does: a loop of its own, and a look at the one that it has inherited. */
static void
be_child(int stays)
{
	int own = counted_create();

	counted_turn(own, 20);
	counted_turn(loop, 3);
	counted_turn(own, 20);
	if (stays) {
		printf("child %d\n", getpid());
		counted_finish(own);
	}
	_exit(0);
}

static void
reap(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
		abort();
}

static void
fork_in_handler(int number)
{
	pid_t child = fork();

	if (child == 0)
		be_child(0);
	reap(child);
}

static void
interrupted_wait(void)
{
	sigset_t signals;

	signal(SIGUSR1, fork_in_handler);
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	raise(SIGUSR1);
	/* The handler runs inside this wait. */
	__atomic_fetch_add(counted, 1, __ATOMIC_RELAXED);
	sigemptyset(&signals);
	if (epoll_pwait(loop, &(struct epoll_event){0}, 1, -1, &signals) != -1)
		abort();
}

static void
make_children(const char *way, int count)
{
	pid_t child;

	if (strcmp(way, "prefork") == 0) {
		for (int i = 0; i < count; i++)
			if (fork() == 0)
				be_child(1);
	} else if (strcmp(way, "daemon") == 0) {
		if (fork() > 0)
			exit(0);
		setsid();
		if (fork() > 0)
			exit(0);
		be_child(1);
	} else if (strcmp(way, "handler") == 0) {
		interrupted_wait();
	} else if (strcmp(way, "vfork") == 0) {
		child = vfork();
		if (child == 0) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(1);
		}
		reap(child);
	} else {
		for (int i = 0; i < count; i++) {
			child = strcmp(way, "_Fork") == 0 ? _Fork()
				: strcmp(way, "clone") == 0
					? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)
					: fork();
			if (child == 0)
				be_child(0);
			reap(child);
			counted_turn(loop, 1);
		}
	}
}

int
main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	counted_init();
	loop = counted_create();
	counted_turn(loop, 10);
	make_children(argv[1], argc > 2 ? atoi(argv[2]) : 3);
	counted_turn(loop, 10);
	counted_finish(loop);
	return 0;
}
