/* SPDX-License-Identifier: MIT */
/* See dropin_file.h. */

#include "config.h"

#include "cli/dropin_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/text_file.h"

/* The directory that a file lies in. Returns its length; ret_path has room for PATH_MAX. */
static int
directory_of(const char *path, char *ret_path)
{
	const char *slash = strrchr(path, '/');

	if (!slash || slash - path >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(ret_path, path, (size_t)(slash - path));
	ret_path[slash - path] = '\0';
	return 0;
}

/* Have what was done in a directory be on disk. */
static int
sync_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	r = fsync(fd) ? -errno : 0;
	close(fd);
	return r;
}

int
dropin_file_read(const char *path, char **ret_text)
{
	size_t length;
	int r = text_file_read(path, ret_text, &length);

	if (r != -ENOENT)
		return r;
	*ret_text = NULL;
	return 0;
}

bool
dropin_file_has_directory(const char *path)
{
	char directory[PATH_MAX];

	return !directory_of(path, directory) && !access(directory, F_OK);
}

/* Fill the file that is to take the other one's place. */
static int
fill(int fd, const char *text)
{
	size_t length = strlen(text);

	while (length > 0) {
		ssize_t n = write(fd, text, length);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			length -= (size_t)n;
		}
	}
	/* Whatever the umask is: systemctl reads it for any user. */
	return fchmod(fd, 0644) || fsync(fd) ? -errno : 0;
}

/* Make the directory, readable for everybody. */
static int
make_directory(const char *path)
{
	char above[PATH_MAX];

	if (mkdir(path, 0755))
		return errno == EEXIST ? 0 : -errno;
	if (chmod(path, 0755))
		return -errno;
	return directory_of(path, above) ? 0 : sync_directory(above);
}

int
dropin_file_write(const char *path, const char *text)
{
	char directory[PATH_MAX], temporary[PATH_MAX + 8];
	int r = directory_of(path, directory), fd;

	if (!r)
		r = make_directory(directory);
	if (r)
		return r;
	/* systemd reads only what ends in .conf. */
	snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = fill(fd, text);
	if (close(fd) && !r)
		r = -errno;
	if (!r && rename(temporary, path))
		r = -errno;
	if (r) {
		unlink(temporary);
		return r;
	}
	return sync_directory(directory);
}

int
dropin_file_remove(const char *path, bool directory)
{
	char its[PATH_MAX], above[PATH_MAX];
	int r = directory_of(path, its);

	if (r)
		return r;
	if (unlink(path))
		return -errno;
	if (!directory)
		return sync_directory(its);
	if (rmdir(its))
		return errno == ENOTEMPTY || errno == EEXIST ? sync_directory(its)
							     : -errno;
	return directory_of(its, above) ? 0 : sync_directory(above);
}
