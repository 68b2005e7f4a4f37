/* SPDX-License-Identifier: MIT */
/* The listening sockets. */

#include "config.h"

#include "daemon/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/gate.h"

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* As many processes may register at once, with no daemon there to accept them. */
#define PROBE_BACKLOG 4096
#define HTTP_BACKLOG 512

/* Whether a daemon still listens at the address: 0 if none, else -errno. */
static int
ask_whether_stale(const struct sockaddr_un *address)
{
	struct stat file;
	int fd, error = 0;

	if (lstat(address->sun_path, &file))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(file.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		error = -EADDRINUSE;
	else if (errno != ECONNREFUSED && errno != ENOENT)
		error = errno == EACCES ? -EACCES : -EADDRINUSE;
	close(fd);
	return error;
}

/* Bind, and once more if what was in the way was the file of a dead daemon. */
static int
bind_replacing(int fd, const struct sockaddr_un *address)
{
	int error;

	if (!bind(fd, (const struct sockaddr *)address, sizeof(*address)))
		return 0;
	if (errno != EADDRINUSE)
		return -errno;
	error = ask_whether_stale(address);
	if (error)
		return error;
	if (unlink(address->sun_path) && errno != ENOENT)
		return -errno;
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)))
		return -errno;
	return 0;
}

int
sockets_listen_probe(const char *path, struct probe_socket *ret_socket)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct probe_socket probe = {.made = true};
	struct stat file;
	int error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	strcpy(probe.path, path);
	probe.fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (probe.fd < 0)
		return -errno;
	error = bind_replacing(probe.fd, &address);
	if (error) {
		close(probe.fd);
		return error;
	}
	/* Any user may register, whatever our umask. */
	if (chmod(path, 0666) || lstat(path, &file) || listen(probe.fd, PROBE_BACKLOG)) {
		error = -errno;
		unlink(path);
		close(probe.fd);
		return error;
	}
	probe.device = file.st_dev;
	probe.inode = file.st_ino;
	*ret_socket = probe;
	return 0;
}

void
sockets_close_probe(struct probe_socket *probe)
{
	struct stat file;

	if (probe->fd < 0)
		return;
	close(probe->fd);
	probe->fd = -1;
	/* Another daemon may have put its own socket there. */
	if (probe->made && !lstat(probe->path, &file) && file.st_dev == probe->device &&
		file.st_ino == probe->inode)
		unlink(probe->path);
}

void
sockets_close(struct sockets *sockets)
{
	for (size_t i = 0; i < sockets->http_count; i++)
		close(sockets->http[i]);
	sockets->http_count = 0;
	fd_store_fini(&sockets->kept);
	sockets_close_probe(&sockets->probe);
}

/* Split HOST:PORT; brackets around an IPv6 host are taken off. */
static bool
split_address(
	const char *address, char ret_host[SOCKETS_ADDRESS_BYTES], const char **ret_port)
{
	const char *colon = strrchr(address, ':'), *host = address;
	size_t length;

	if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
		strlen(colon + 1) > 5 || atoi(colon + 1) > 65535)
		return false;
	length = (size_t)(colon - address);
	if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
		host++;
		length -= 2;
		if (!length)
			return false;
	} else if (memchr(host, ':', length) || memchr(host, '[', length)) {
		return false;
	}
	if (length >= SOCKETS_ADDRESS_BYTES)
		return false;
	memcpy(ret_host, host, length);
	ret_host[length] = 0;
	*ret_port = colon + 1;
	return true;
}

bool
sockets_address_valid(const char *address)
{
	char host[SOCKETS_ADDRESS_BYTES];
	const char *port;

	return split_address(address, host, &port);
}

/* Listen at the first address of that family which can be had. */
static int
listen_family(const char *host, const char *port, int family, int *ret_fd)
{
	const struct addrinfo hints = {.ai_family = family,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *found, *info;
	int error = -ENXIO, fd = -1;

	if (getaddrinfo(*host ? host : NULL, port, &hints, &found))
		return -ENXIO;
	for (info = found; info && error; info = info->ai_next) {
		const int on = 1, off = 0;

		fd = socket(
			info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd < 0) {
			error = -errno;
			continue;
		}
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (info->ai_family == AF_INET6 && !*host)
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
		if (!bind(fd, info->ai_addr, info->ai_addrlen) &&
			!listen(fd, HTTP_BACKLOG)) {
			error = 0;
			*ret_fd = fd;
		} else {
			error = -errno;
			close(fd);
		}
	}
	freeaddrinfo(found);
	return error;
}

int
sockets_listen_http(const char *address, int *ret_fd)
{
	char host[SOCKETS_ADDRESS_BYTES];
	const char *port;
	int first, second, error, other_error;

	if (!split_address(address, host, &port))
		return -EINVAL;
	/* All interfaces: one IPv6 socket has IPv4 too. A name: IPv4, as the Go programs
	 * have it whose flags these are. */
	first = *host ? AF_INET : AF_INET6;
	second = *host ? AF_INET6 : AF_INET;
	error = listen_family(host, port, first, ret_fd);
	if (!error || error == -EADDRINUSE)
		return error;
	other_error = listen_family(host, port, second, ret_fd);
	return other_error == -ENXIO ? error : other_error;
}

/* The address that getsockname() or getpeername() knows. */
static void
describe(int (*ask)(int fd, struct sockaddr *address, socklen_t *length), int fd,
	char ret_text[SOCKETS_ADDRESS_BYTES])
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	char host[100], port[8];

	snprintf(ret_text, SOCKETS_ADDRESS_BYTES, "unknown address");
	if (ask(fd, (struct sockaddr *)&address, &length) ||
		getnameinfo((struct sockaddr *)&address, length, host, sizeof(host), port,
			sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return;
	snprintf(ret_text, SOCKETS_ADDRESS_BYTES,
		address.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

void
sockets_describe(int fd, char ret_text[SOCKETS_ADDRESS_BYTES])
{
	describe(getsockname, fd, ret_text);
}

void
sockets_describe_peer(int fd, char ret_text[SOCKETS_ADDRESS_BYTES])
{
	describe(getpeername, fd, ret_text);
}

#ifdef HAVE_SYSTEMD
/* Take a socket for probes; its file is systemd's. */
static int
inherit_probe(int fd, struct probe_socket *ret_probe)
{
	struct probe_socket probe = {.fd = fd};
	struct sockaddr_un address = {0};
	socklen_t length = sizeof(address);

	if (ret_probe->fd >= 0 ||
		sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, NULL, 0) <= 0 ||
		getsockname(fd, (struct sockaddr *)&address, &length) ||
		length <= offsetof(struct sockaddr_un, sun_path) || !address.sun_path[0])
		return -EPROTOTYPE;
	memcpy(probe.path, address.sun_path, sizeof(probe.path) - 1);
	*ret_probe = probe;
	return 0;
}

/* Take a socket for HTTP. Only TCP: a Unix socket would hand evhttp an address of a kind
 * that it has mishandled before. */
static int
inherit_http(int fd, struct sockets *sockets)
{
	if (sockets->http_count == SOCKETS_HTTP ||
		(sd_is_socket_inet(fd, AF_INET, SOCK_STREAM, 1, 0) <= 0 &&
			sd_is_socket_inet(fd, AF_INET6, SOCK_STREAM, 1, 0) <= 0))
		return -EPROTOTYPE;
	sockets->http[sockets->http_count++] = fd;
	return 0;
}

int
sockets_inherit(
	struct sockets *ret_sockets, bool any_http, char ret_name[SOCKETS_NAME_BYTES])
{
	struct sockets sockets = {.probe = {.fd = -1}};
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names), error = 0;

	for (int i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i, flags = fcntl(fd, F_GETFL);

		if (!error) {
			if (fd_store_is_name(names[i]) && gate_in_memory(fd)) {
				fcntl(fd, F_SETFD, FD_CLOEXEC);
				error = fd_store_return(&sockets.kept, fd, names[i]);
				free(names[i]);
				continue;
			}
			fcntl(fd, F_SETFL, flags | O_NONBLOCK);
			if (!strcmp(names[i], "probe"))
				error = inherit_probe(fd, &sockets.probe);
			else if (!strcmp(names[i], "http") || any_http)
				error = inherit_http(fd, &sockets);
			else
				error = -EPROTOTYPE;
			if (error)
				snprintf(ret_name, SOCKETS_NAME_BYTES, "%s", names[i]);
		}
		free(names[i]);
	}
	free(names);
	if (count < 0)
		return count;
	if (!error)
		*ret_sockets = sockets;
	return error;
}
#else
int
sockets_inherit(
	struct sockets *ret_sockets, bool any_http, char ret_name[SOCKETS_NAME_BYTES])
{
	*ret_sockets = (struct sockets){.probe = {.fd = -1}};
	return 0;
}
#endif
