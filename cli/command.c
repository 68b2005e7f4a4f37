/* SPDX-License-Identifier: MIT */
/* From the name of a command to a file, and from there to a process: what execvp() does,
 * in steps that can be looked at. */

#include "config.h"

#include "cli/command.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_SEARCH "/bin:/usr/bin"

/* Whether the file can be run: 0, -ENOENT, or -EACCES. */
static int
runnable(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return errno == EACCES ? -EACCES : -ENOENT;
	return S_ISREG(st.st_mode) && !faccessat(AT_FDCWD, path, X_OK, AT_EACCESS)
		       ? 0
		       : -EACCES;
}

int
command_find(const char *command, const char *search, char *ret_path)
{
	int r = -ENOENT;

	if (!*command || strlen(command) >= PATH_MAX)
		return -ENOENT;
	if (strchr(command, '/')) {
		strcpy(ret_path, command);
		return runnable(command);
	}
	if (!search)
		search = DEFAULT_SEARCH;
	for (const char *end;; search = end + 1) {
		char path[PATH_MAX];
		int length, one;

		end = strchrnul(search, ':');
		length = (int)(end - search);
		if (snprintf(path, sizeof path, "%.*s%s%s", length, search,
			    length ? "/" : "./", command) < (int)sizeof path) {
			one = runnable(path);
			if (!one) {
				strcpy(ret_path, path);
				return 0;
			}
			/* As execvp() does: a file that may not be run is told of only if
			 * no other is found. */
			if (one == -EACCES)
				r = -EACCES;
		}
		if (!*end)
			return r;
	}
}

/* Run a text file without a #! line as a shell does. */
static int
exec_script(char *path, char *const argv[])
{
	char shell[] = "/bin/sh", magic[4] = "";
	char **words;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;
	size_t count = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = pread(fd, magic, sizeof magic, 0);
	close(fd);
	if (n < 0 || !memcmp(magic, ELFMAG, SELFMAG))
		return -ENOEXEC;
	while (argv[count])
		count++;
	words = calloc(count + 2, sizeof *words);
	if (!words)
		return -ENOMEM;
	words[0] = shell;
	words[1] = path;
	memcpy(words + 2, argv + 1, count * sizeof *words);
	execv(shell, words);
	r = -errno;
	free(words);
	return r;
}

int
command_exec(char *const argv[])
{
	char path[PATH_MAX];
	int r = command_find(argv[0], getenv("PATH"), path);

	if (r)
		return r;
	execv(path, argv);
	return errno == ENOEXEC ? exec_script(path, argv) : -errno;
}
