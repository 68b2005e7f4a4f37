/* SPDX-License-Identifier: MIT */
/* Passes arguments that the kernel refuses, now and then, and prints what came back. */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

/* Where nothing is mapped; volatile, so that the compiler does not object. */
static void *volatile nowhere = (void *)(uintptr_t)8;

static void
tell(const char *name, int result)
{
	printf("%s %d %d\n", name, result, result < 0 ? errno : 0);
}

int
main(void)
{
	struct timeval timeout = {0, 0};
	struct timespec soon = {0, 0};
	struct epoll_event event;
	int epfd = epoll_create1(0);
	fd_set good;

	for (int i = 0; i < 100; i++) {
		tell("select", select(65, nowhere, NULL, NULL, &timeout));
		FD_ZERO(&good);
		tell("select", select(1, &good, NULL, NULL, &timeout));
		tell("pselect", pselect(65, NULL, nowhere, NULL, &soon, NULL));
		tell("pselect", pselect(-1, NULL, NULL, NULL, &soon, NULL));
		tell("epoll_wait", epoll_wait(epfd, nowhere, 1, 0));
		tell("epoll_wait", epoll_wait(-1, &event, 1, 0));
		tell("epoll_wait", epoll_wait(epfd, &event, 0, 0));
		tell("epoll_pwait2", epoll_pwait2(epfd, &event, 1, nowhere, NULL));
		tell("epoll_pwait2", epoll_pwait2(epfd, &event, 1, &soon, NULL));
	}
	return 0;
}
