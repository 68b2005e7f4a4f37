/* SPDX-License-Identifier: MIT */
/* Keeps the number of HTTP connections down, by what the kernel says of each. */

#include "config.h"

#include "daemon/connections.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define CONNECTIONS_SEEN 4096

struct connection {
	int fd;
	unsigned silent_ms;
};

static int
option(int fd, int name)
{
	socklen_t length = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &length) ? -1 : value;
}

static int
longest_silent_first(const void *a, const void *b)
{
	const struct connection *x = a, *y = b;

	return (x->silent_ms < y->silent_ms) - (x->silent_ms > y->silent_ms);
}

/* List the accepted TCP connections among our descriptors. */
static unsigned
list_connections(struct connection connections[CONNECTIONS_SEEN])
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *entry;
	unsigned count = 0;

	if (!dir)
		return 0;
	while (count < CONNECTIONS_SEEN && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);
		struct tcp_info info;
		socklen_t length = sizeof(info);

		if (entry->d_name[0] == '.' || option(fd, SO_PROTOCOL) != IPPROTO_TCP ||
			option(fd, SO_ACCEPTCONN) != 0 ||
			getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length))
			continue;
		connections[count++] = (struct connection){fd, info.tcpi_last_data_recv};
	}
	closedir(dir);
	return count;
}

unsigned
connections_shed(unsigned limit, unsigned keep)
{
	struct connection *connections = calloc(CONNECTIONS_SEEN, sizeof(*connections));
	unsigned count;

	if (!connections)
		return 0;
	count = list_connections(connections);
	if (count > limit) {
		qsort(connections, count, sizeof(*connections), longest_silent_first);
		for (unsigned i = 0; i < count - keep; i++)
			shutdown(connections[i].fd, SHUT_RDWR);
		count = keep;
	}
	free(connections);
	return count;
}
