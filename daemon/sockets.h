/* SPDX-License-Identifier: MIT */
/*
 * The listening sockets: made here, or taken from systemd, which names them "probe" and
 * "http" (FileDescriptorName=). All are non-blocking and not inherited by children.
 */
#ifndef LOOPLAG_DAEMON_SOCKETS_H
#define LOOPLAG_DAEMON_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/un.h>

#include "daemon/fd_store.h"

#define SOCKETS_PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)
#define SOCKETS_ADDRESS_BYTES 128
#define SOCKETS_HTTP 8
#define SOCKETS_NAME_BYTES 256

/* The probe socket, and how to know its file again; fd -1: none. */
struct probe_socket {
	int fd;
	bool made; /* by us: its file is removed when it is closed */
	dev_t device;
	ino_t inode;
	char path[SOCKETS_PATH_BYTES];
};

/* All that looplagd listens on, and the segments that were kept for it. */
struct sockets {
	struct probe_socket probe;
	int http[SOCKETS_HTTP];
	size_t http_count;
	struct fd_store kept;
};

/* Take the sockets that systemd passed on, if any; those for HTTP by any name, if that is
 * wanted. -EPROTOTYPE: one of them has another name, or is not of the kind that its name
 * promises; ret_name is that name. */
__attribute__((warn_unused_result)) int
sockets_inherit(
	struct sockets *ret_sockets, bool any_http, char ret_name[SOCKETS_NAME_BYTES]);

/* Close them all, and remove the probe socket's file if it is the one that we made. */
void
sockets_close(struct sockets *sockets);

/*
 * Listen for probes at `path`, for every user. The file that a dead daemon left behind is
 * replaced. -EADDRINUSE: somebody listens there; -EEXIST: the file is no socket.
 */
__attribute__((warn_unused_result)) int
sockets_listen_probe(const char *path, struct probe_socket *ret_socket);

/* Close it, and remove the file if it is ours; nothing for an fd of -1. */
void
sockets_close_probe(struct probe_socket *probe);

/* Whether this is HOST:PORT, :PORT or [IPV6]:PORT. */
bool
sockets_address_valid(const char *address);

/* Listen for HTTP there; without a host on all interfaces. -ENXIO: no such host. */
__attribute__((warn_unused_result)) int
sockets_listen_http(const char *address, int *ret_fd);

/* Where the socket really listens, as HOST:PORT. */
void
sockets_describe(int fd, char ret_text[SOCKETS_ADDRESS_BYTES]);

/* Where a connection comes from, as HOST:PORT. */
void
sockets_describe_peer(int fd, char ret_text[SOCKETS_ADDRESS_BYTES]);

#endif
