/* SPDX-License-Identifier: MIT */
/* HTTP connections as the kernel lists them; see connections.h. */

#include "config.h"

#include "daemon/connections.h"

#include <dirent.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Linux 4.12; a number for each socket. */
#ifndef SO_COOKIE
#define SO_COOKIE 57
#endif

struct connection {
	int fd;
	bool answering, ended;
	uint64_t number;
	uint64_t since_ns; /* it was seen first, sent a request or took the answer */
};

struct connections {
	unsigned limit;
	unsigned count; /* never less than there are */
	struct connection *known;
	unsigned known_count, known_room;
	uint64_t shed;
};

struct connections *
connections_new(unsigned limit)
{
	struct connections *connections = calloc(1, sizeof(*connections));

	if (connections)
		connections->limit = limit;
	return connections;
}

void
connections_free(struct connections *connections)
{
	if (!connections)
		return;
	free(connections->known);
	free(connections);
}

static int
option(int fd, int name)
{
	socklen_t length = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, name, &value, &length) ? -1 : value;
}

/* The socket's number, or 0. */
static uint64_t
number_of(int fd)
{
	socklen_t length = sizeof(uint64_t);
	uint64_t number;

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &number, &length) ? 0 : number;
}

static struct connection *
find(struct connections *connections, uint64_t number)
{
	for (unsigned i = 0; i < connections->known_count; i++)
		if (connections->known[i].number == number)
			return &connections->known[i];
	return NULL;
}

/* Remember a connection, unless there is no memory. */
static struct connection *
remember(struct connections *connections, int fd, uint64_t number, uint64_t now_ns)
{
	if (connections->known_count == connections->known_room) {
		unsigned room =
			connections->known_room ? 2 * connections->known_room : 64;
		struct connection *larger =
			reallocarray(connections->known, room, sizeof(*larger));

		if (!larger)
			return NULL;
		connections->known = larger;
		connections->known_room = room;
	}
	connections->known[connections->known_count] =
		(struct connection){.fd = fd, .number = number, .since_ns = now_ns};
	return &connections->known[connections->known_count++];
}

/* Go through the accepted TCP connections among our descriptors; forget the others. */
static void
list(struct connections *connections, uint64_t now_ns)
{
	struct connections seen = {
		.limit = connections->limit, .shed = connections->shed};
	const struct dirent *entry;
	DIR *dir = opendir("/proc/self/fd");

	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		int fd = atoi(entry->d_name);
		struct connection *old, *new;
		uint64_t number;

		if (entry->d_name[0] == '.' || option(fd, SO_PROTOCOL) != IPPROTO_TCP ||
			option(fd, SO_ACCEPTCONN) != 0 || !(number = number_of(fd)))
			continue;
		old = find(connections, number);
		new = remember(&seen, fd, number, now_ns);
		if (old && new)
			*new = *old;
		seen.count += !new || !new->ended;
	}
	closedir(dir);
	free(connections->known);
	*connections = seen;
}

static void
end(struct connection *connection)
{
	shutdown(connection->fd, SHUT_RDWR);
	connection->ended = true;
}

/* Those that answer are worth more than those that wait, and the young more than the old. */
static int
dispensable_first(const void *a, const void *b)
{
	const struct connection *x = a, *y = b;

	if (x->ended != y->ended)
		return x->ended - y->ended;
	if (x->answering != y->answering)
		return x->answering - y->answering;
	return (x->since_ns > y->since_ns) - (x->since_ns < y->since_ns);
}

unsigned
connections_shed(struct connections *connections, unsigned keep, uint64_t now_ns)
{
	unsigned shed = 0;

	list(connections, now_ns);
	qsort(connections->known, connections->known_count, sizeof(*connections->known),
		dispensable_first);
	while (shed < connections->known_count && connections->count > keep) {
		end(&connections->known[shed++]);
		connections->count--;
	}
	connections->shed += shed;
	return shed;
}

unsigned
connections_accepted(struct connections *connections, uint64_t now_ns)
{
	if (++connections->count <= connections->limit)
		return 0;
	list(connections, now_ns);
	if (connections->count <= connections->limit)
		return 0;
	return connections_shed(
		connections, connections->limit - connections->limit / 8, now_ns);
}

uint64_t
connections_begin(struct connections *connections, int fd, uint64_t now_ns)
{
	uint64_t number = number_of(fd);
	struct connection *connection = find(connections, number);

	if (!connection)
		connection = remember(connections, fd, number, now_ns);
	if (connection) {
		connection->answering = true;
		connection->since_ns = now_ns;
	}
	return number;
}

void
connections_end(struct connections *connections, uint64_t number, uint64_t now_ns)
{
	struct connection *connection = find(connections, number);

	if (connection) {
		connection->answering = false;
		connection->since_ns = now_ns;
	}
}

unsigned
connections_shut(struct connections *connections, uint64_t number)
{
	struct connection *connection = find(connections, number);

	/* Its descriptor may be another one's by now. */
	if (!connection || connection->ended || number_of(connection->fd) != number)
		return 0;
	end(connection);
	return 1;
}

unsigned
connections_look(struct connections *connections, uint64_t patience_ns, uint64_t now_ns)
{
	unsigned ended = 0;

	if (!connections->count)
		return 0;
	list(connections, now_ns);
	for (unsigned i = 0; i < connections->known_count; i++) {
		struct connection *connection = &connections->known[i];

		if (connection->ended || now_ns - connection->since_ns < patience_ns)
			continue;
		end(connection);
		ended++;
	}
	return ended;
}

uint64_t
connections_count_shed(const struct connections *connections)
{
	return connections->shed;
}
