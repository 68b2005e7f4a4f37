/* SPDX-License-Identifier: MIT */
/* See systemctl.h. */

#include "config.h"

#include "cli/systemctl.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_MAX (1u << 20)

/* Everything that can be read, with two zeros at its end, or NULL. */
static char *
read_all(int fd)
{
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);
	char chunk[4096];
	ssize_t n;

	if (!memory)
		return NULL;
	while ((n = read(fd, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && ftello(memory) < (off_t)TEXT_MAX)
			fwrite(chunk, 1, (size_t)n, memory);
	fwrite("\0", 1, 2, memory);
	if (fclose(memory) || n < 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* Wait for the end of a process. Returns 0 or -EIO. */
static int
wait_for(pid_t pid)
{
	int status = 1;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -EIO;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

int
systemctl_ask(char *const argv[], char **ret_text)
{
	posix_spawn_file_actions_t actions;
	int ends[2], r;
	pid_t pid;
	char *text;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	posix_spawn_file_actions_addopen(
		&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	text = r ? NULL : read_all(ends[0]);
	close(ends[0]);
	if (r)
		return -r;
	r = wait_for(pid);
	if (!text)
		r = -EIO;
	if (r)
		free(text);
	else
		*ret_text = text;
	return r;
}

int
systemctl_do(const char *verb, const char *name)
{
	char program[] = "systemctl", end[] = "--", *words[2] = {NULL, NULL};
	posix_spawn_file_actions_t actions;
	int r = -ENOMEM;
	pid_t pid;

	words[0] = strdup(verb);
	words[1] = name ? strdup(name) : NULL;
	if (words[0] && (words[1] || !name)) {
		char *argv[] = {program, words[0], end, words[1], NULL};

		/* Standard output is for data. */
		posix_spawn_file_actions_init(&actions);
		posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
		r = -posix_spawnp(&pid, program, &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
		if (!r)
			r = wait_for(pid);
	}
	free(words[0]);
	free(words[1]);
	return r;
}
