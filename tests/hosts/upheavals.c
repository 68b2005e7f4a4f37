/* SPDX-License-Identifier: MIT */
/*
 * A program with an event loop that does to itself what daemons do: it closes descriptors
 * that it does not know, puts another file in the place of its loop, locks its memory,
 * gives up its rights. It says what it finds, which must not depend on who looks on.
 *
 * usage: upheavals loop|closefrom|close_range|raw|dup2|mlockall|setuid|chroot|spawn
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/hosts/counted.h"

static void
say(const char *what, long result)
{
	printf("%s %ld%s%s\n", what, result, result < 0 ? " " : "",
		result < 0 ? strerror(errno) : "");
}

static void
close_all(const char *way)
{
	if (strcmp(way, "closefrom") == 0)
		closefrom(3);
	else if (strcmp(way, "close_range") == 0)
		say("close_range", close_range(3, ~0u, 0));
	else
		for (int fd = 3; fd < 1024; fd++)
			if (way[0] == 'r')
				syscall(SYS_close, fd);
			else
				close(fd);
}

static void
tell_descriptors(void)
{
	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			say("open", fd);
}

/* One epoll instance in the place of another, by its number. */
static void
replace(int loop)
{
	int other = counted_create(), ends[2];
	char byte;

	if (pipe(ends) || write(ends[1], "x", 1) != 1)
		abort();
	epoll_ctl(
		other, EPOLL_CTL_ADD, ends[0], &(struct epoll_event){.events = EPOLLIN});
	say("before", counted_epoll(loop, 0));
	say("dup2", dup2(other, loop));
	say("after", counted_epoll(loop, 0));
	say("read", read(ends[0], &byte, 1));
}

static void
lock_memory(int flags)
{
	struct rlimit limit = {64 << 20, 64 << 20};

	setrlimit(RLIMIT_MEMLOCK, &limit);
	say("mlockall", mlockall(flags));
}

static void *
fork_from_thread(void *unused)
{
	pid_t child = fork();
	int own, status;

	if (child == 0) {
		own = counted_create();
		counted_turn(own, 50);
		_exit(7);
	}
	waitpid(child, &status, 0);
	say("thread's child", WEXITSTATUS(status));
	return NULL;
}

static void
spawn(void)
{
	extern char **environ;
	static char name[] = "true";
	char *words[] = {name, NULL};
	pthread_t thread;
	int status;
	pid_t pid;

	for (int i = 0; i < 50; i++) {
		if (posix_spawn(&pid, "/bin/true", NULL, NULL, words, environ))
			abort();
		waitpid(pid, &status, 0);
		if (status)
			say("status", status);
	}
	pthread_create(&thread, NULL, fork_from_thread, NULL);
	pthread_join(thread, NULL);
	say("no more children", waitpid(-1, NULL, __WALL));
}

int
main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "";
	int loop;

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	counted_init();
	loop = counted_create();
	counted_turn(loop, 50);
	if (strcmp(way, "dup2") == 0)
		replace(loop);
	else if (strcmp(way, "mlockall") == 0)
		lock_memory(MCL_CURRENT | MCL_FUTURE);
	else if (strcmp(way, "setuid") == 0)
		say("setresuid", setresuid(65534, 65534, 65534));
	else if (strcmp(way, "chroot") == 0)
		say("chroot", chroot("/proc/self/task") || chdir("/") ? -1 : 0);
	else if (strcmp(way, "spawn") == 0)
		spawn();
	else {
		close_all(way);
		say("wait", counted_epoll(loop, 0));
		loop = counted_create();
	}
	say("loop", loop);
	counted_turn(loop, 50);
	tell_descriptors();
	puts("done");
	counted_finish(loop);
	return 0;
}
