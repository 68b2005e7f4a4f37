/* SPDX-License-Identifier: MIT */
/* Asks the kernel who listens, and the daemon never learns of it. */

#include "config.h"

#include "cli/listener.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
listener_look(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, r = 0;

	if (strlen(path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&address, sizeof address))
		r = -EPROTOTYPE;
	else if (errno != EPROTOTYPE)
		r = -errno;
	close(fd);
	return r;
}
