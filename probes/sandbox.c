/* SPDX-License-Identifier: MIT */
/* See sandbox.h. */

#include "probes/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probes/tasks.h"

#define WAIT_FOR_CLONE 0x80000000u /* __WCLONE: for those that send no signal */

int
sandbox_try(void (*calls)(void *), void *context)
{
	struct tasks_facts facts;
	int status = -1;
	long child, ended;

	if (tasks_look(0, SIGURG, &facts) || facts.filters <= 0)
		return 0;
	/* As fork() does it, but that its end is told to nobody. */
	child = syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (child == 0) {
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
		calls(context);
		for (;;)
			(void)syscall(SYS_exit_group, 0);
	}
	if (child < 0)
		return -1;
	do {
		ended = syscall(SYS_wait4, child, &status, WAIT_FOR_CLONE, NULL);
	} while (ended < 0 && errno == EINTR);
	return ended == child && status == 0 ? 0 : -1;
}
