/* SPDX-License-Identifier: MIT */
/* Files of an administrator's; see text_file.h. */

#include "config.h"

#include "daemon/text_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
text_file_read(const char *path, char **ret_text, size_t *ret_length)
{
	/* A FIFO must not keep the daemon waiting. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t used = 0;
	struct stat stat;
	char *text;
	ssize_t n;
	int r = 0;

	if (fd < 0)
		return -errno;
	text = malloc(TEXT_FILE_BYTES_MAX + 1);
	if (!text)
		r = -ENOMEM;
	else if (fstat(fd, &stat) < 0)
		r = -errno;
	else if (!S_ISREG(stat.st_mode))
		r = S_ISDIR(stat.st_mode) ? -EISDIR : -EINVAL;
	while (r == 0 && used <= TEXT_FILE_BYTES_MAX) {
		n = read(fd, text + used, TEXT_FILE_BYTES_MAX + 1 - used);
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		used += (size_t)n;
	}
	close(fd);
	if (used > TEXT_FILE_BYTES_MAX)
		r = -EFBIG;
	if (r < 0) {
		free(text);
		return r;
	}
	text[used] = 0;
	*ret_text = text;
	*ret_length = used;
	return 0;
}

int
text_file_load(const char *path, FILE *err, char **ret_text, size_t *ret_length)
{
	int r = text_file_read(path, ret_text, ret_length);

	if (r < 0)
		fprintf(err, "%s: cannot be read: %s\n", path, text_file_error(r));
	return r;
}

const char *
text_file_error(int error)
{
	return error == -EINVAL  ? "it is no regular file"
	       : error == -EFBIG ? "it is longer than 1 MiB"
				 : strerror(-error);
}
