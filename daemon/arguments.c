/* SPDX-License-Identifier: MIT */
/*
 * Threads that read the arguments of processes; see arguments.h. They come when there is
 * more to read than they can, and go when there is nothing left for them. Of one user's
 * processes so many are read at once that one who makes us wait harms nobody else.
 */

#include "config.h"

#include "daemon/arguments.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "daemon/thread.h"

#define THREADS_MAX 64
#define THREADS_OF_USER 4

struct arguments {
	TAILQ_ENTRY(arguments) entry;
	pid_t pid;
	uid_t uid;
	enum { WAITING, READING, READ } state;
	bool dropped; /* nobody wants to know any more */
	int error;
	char text[ARGUMENTS_BYTES];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static TAILQ_HEAD(, arguments) waiting = TAILQ_HEAD_INITIALIZER(waiting);
static unsigned threads, reading;
static uid_t readers[THREADS_MAX]; /* whose arguments are being read */

/* Returns 0 or -errno. */
static int
read_arguments(pid_t pid, char ret_text[ARGUMENTS_BYTES])
{
	size_t size = 0;
	char path[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		n = read(fd, ret_text + size, ARGUMENTS_BYTES - 1 - size);
		size += n > 0 ? (size_t)n : 0;
	} while (n > 0 && size < ARGUMENTS_BYTES - 1);
	n = n < 0 ? -errno : 0;
	close(fd);
	while (size && !ret_text[size - 1])
		size--;
	ret_text[size] = 0;
	while (size--)
		if (!ret_text[size])
			ret_text[size] = ' ';
	return (int)n;
}

/* The next one that may be read, no longer waiting; NULL if there is none. */
static struct arguments *
take_next(void)
{
	struct arguments *next;

	TAILQ_FOREACH (next, &waiting, entry) {
		unsigned of_user = 0;

		for (unsigned i = 0; i < reading; i++)
			of_user += readers[i] == next->uid;
		if (of_user < THREADS_OF_USER)
			break;
	}
	if (next)
		TAILQ_REMOVE(&waiting, next, entry);
	return next;
}

static void
forget_reader(uid_t uid)
{
	unsigned i = 0;

	while (readers[i] != uid)
		i++;
	readers[i] = readers[--reading];
}

static void *
work(void *arg)
{
	struct arguments *arguments;

	pthread_mutex_lock(&mutex);
	while ((arguments = take_next())) {
		arguments->state = READING;
		readers[reading++] = arguments->uid;
		pthread_mutex_unlock(&mutex);
		arguments->error = read_arguments(arguments->pid, arguments->text);
		pthread_mutex_lock(&mutex);
		forget_reader(arguments->uid);
		arguments->state = READ;
		if (arguments->dropped)
			free(arguments);
	}
	threads--;
	pthread_mutex_unlock(&mutex);
	return NULL;
}

struct arguments *
arguments_ask(pid_t pid, uid_t uid)
{
	struct arguments *arguments = calloc(1, sizeof(*arguments));

	if (!arguments)
		return NULL;
	arguments->pid = pid;
	arguments->uid = uid;
	pthread_mutex_lock(&mutex);
	TAILQ_INSERT_TAIL(&waiting, arguments, entry);
	if (threads < THREADS_MAX && thread_start(work) == 0)
		threads++;
	pthread_mutex_unlock(&mutex);
	return arguments;
}

void
arguments_free(struct arguments *arguments)
{
	if (!arguments)
		return;
	pthread_mutex_lock(&mutex);
	if (arguments->state == WAITING)
		TAILQ_REMOVE(&waiting, arguments, entry);
	arguments->dropped = true;
	if (arguments->state != READING)
		free(arguments);
	pthread_mutex_unlock(&mutex);
}

int
arguments_get(struct arguments *arguments, const char **ret_text)
{
	int r;

	pthread_mutex_lock(&mutex);
	r = arguments->state != READ ? 0 : arguments->error ? arguments->error : 1;
	pthread_mutex_unlock(&mutex);
	if (r > 0)
		*ret_text = arguments->text;
	return r;
}
