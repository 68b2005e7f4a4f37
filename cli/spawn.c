/* SPDX-License-Identifier: MIT */
/*
 * Starts the command, forwards signals to it, and ends as it ended.
 *
 *	terminal ----- ^C, ^\, hangup ------> command, and us: we let it decide
 *	kill(1) etc. -- to us --> signalfd --> command
 *
 * All signals that are dealt with here are blocked before the fork and never again
 * unblocked: no handler of ours exists that the command could inherit half of, and none
 * can be lost.
 */

#include "config.h"

#include "cli/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/command.h"
#include "daemon/event.h"

static const int forwarded[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT};

struct spawn {
	pid_t pid; /* 0 until it runs */
	int status;
	bool ended;
	int signals;                   /* signalfd */
	sigset_t mask;                 /* as it was */
	struct sigaction child_action; /* the same, of SIGCHLD */
	struct event_watch *watch;
	spawn_fn call;
	void *arg;
};

/* Collect ended children: the command, and as a container's first process anybody's. */
static void
reap(struct spawn *spawn)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		/* One whose stack we take ourselves is seen to stop, too. */
		if (pid != spawn->pid || WIFSTOPPED(status))
			continue;
		spawn->status = status;
		spawn->ended = true;
		spawn->call(spawn->arg);
	}
}

/* Deal with one signal that came to us. */
static void
take_signal(struct spawn *spawn, const struct signalfd_siginfo *info)
{
	if (info->ssi_signo == SIGCHLD) {
		reap(spawn);
		return;
	}
	/* The kernel sends the terminal's signals to the whole foreground group, and a
	 * command that signals its group has had its own already. */
	if (info->ssi_signo == SIGPIPE || info->ssi_code == SI_KERNEL ||
		(pid_t)info->ssi_pid == spawn->pid || spawn->ended)
		return;
	kill(spawn->pid, (int)info->ssi_signo);
}

static void
read_signals(void *arg)
{
	struct spawn *spawn = arg;
	struct signalfd_siginfo info;

	while (read(spawn->signals, &info, sizeof info) == sizeof info)
		take_signal(spawn, &info);
}

/* In the child: become the command, or tell the parent why not. */
static void
become(char *const argv[], const struct sigaction *child_action, const sigset_t *mask,
	int errors)
{
	int error;

	sigaction(SIGCHLD, child_action, NULL);
	sigprocmask(SIG_SETMASK, mask, NULL);
	error = -command_exec(argv);
	_exit(write(errors, &error, sizeof error) == sizeof error ? 127 : 126);
}

/* Fork and exec. Returns the pid or -errno. */
static pid_t
fork_exec(char *const argv[], const struct sigaction *child_action, const sigset_t *mask)
{
	int errors[2], error;
	pid_t pid;
	ssize_t n;

	if (pipe2(errors, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0) {
		error = errno;
		close(errors[0]);
		close(errors[1]);
		return -error;
	}
	if (!pid)
		become(argv, child_action, mask, errors[1]);
	close(errors[1]);
	do
		n = read(errors[0], &error, sizeof error);
	while (n < 0 && errno == EINTR);
	close(errors[0]);
	if (n != sizeof error)
		return pid;
	waitpid(pid, NULL, 0);
	return -error;
}

struct spawn *
spawn_new(struct event_loop *loop)
{
	struct sigaction wait_for_it = {.sa_handler = SIG_DFL};
	struct spawn *spawn = calloc(1, sizeof *spawn);
	sigset_t ours;

	if (!spawn)
		return NULL;
	sigemptyset(&ours);
	sigaddset(&ours, SIGCHLD);
	/* A reader of the report that goes away must not change how we end. */
	sigaddset(&ours, SIGPIPE);
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		sigaddset(&ours, forwarded[i]);
	sigprocmask(SIG_BLOCK, &ours, &spawn->mask);
	/* If it is ignored, the kernel keeps no status for us. */
	sigaction(SIGCHLD, &wait_for_it, &spawn->child_action);
	spawn->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	if (spawn->signals >= 0)
		spawn->watch = event_readable(loop, spawn->signals, read_signals, spawn);
	if (!spawn->watch) {
		spawn_free(spawn);
		return NULL;
	}
	return spawn;
}

void
spawn_free(struct spawn *spawn)
{
	if (!spawn)
		return;
	event_watch_free(spawn->watch);
	if (spawn->signals >= 0)
		close(spawn->signals);
	if (!spawn->pid) {
		sigaction(SIGCHLD, &spawn->child_action, NULL);
		sigprocmask(SIG_SETMASK, &spawn->mask, NULL);
	}
	free(spawn);
}

int
spawn_start(struct spawn *spawn, char *const argv[], spawn_fn ended, void *arg)
{
	pid_t pid = fork_exec(argv, &spawn->child_action, &spawn->mask);

	if (pid < 0)
		return pid;
	spawn->pid = pid;
	spawn->call = ended;
	spawn->arg = arg;
	return 0;
}

int
spawn_status(const struct spawn *spawn)
{
	return spawn->status;
}

void
spawn_exit_like(int status)
{
	sigset_t one;
	int number;

	if (WIFEXITED(status))
		exit(WEXITSTATUS(status));
	number = WTERMSIG(status);
	/* The command has left its core already; ours would only write over it. */
	prctl(PR_SET_DUMPABLE, 0);
	signal(number, SIG_DFL);
	sigemptyset(&one);
	sigaddset(&one, number);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
	exit(128 + number);
}
