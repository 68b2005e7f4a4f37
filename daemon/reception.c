/* SPDX-License-Identifier: MIT */
/* Connections that have not said yet what they want; see reception.h. */

#include "config.h"

#include "daemon/reception.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/closer.h"
#include "daemon/event.h"
#include "daemon/hello.h"
#include "daemon/identity.h"
#include "daemon/log.h"
#include "daemon/quota.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/* Others of our events come between two batches: so many connections, or after so long. */
#define BATCH 32
#define BATCH_NS 1000000ull
/* Without descriptors we try again after this. */
#define PAUSE_NS 50000000ull

/* Its segment, that by which we know it, and a file that tells who it is. */
#define RESERVE 3

struct connection {
	TAILQ_ENTRY(connection) entry;
	struct reception *reception;
	struct event_watch *watch;
	int fd;
	pid_t pid;
	uid_t uid;
	uint64_t since_ns;
};

struct reception {
	struct event_loop *loop;
	struct quota *quota;
	struct reception_calls calls;
	struct event_watch *listening;
	struct event_watch *pause;    /* when we listen again; NULL: we do */
	struct event_watch *deadline; /* of the first connection; NULL: there is none */
	TAILQ_HEAD(, connection) waiting; /* the oldest first */
	int socket;
	/* In place of what a guest brings: who is accepted can be heard. Or -1. */
	int reserve[RESERVE];
};

static void
refuse(struct reception *reception, enum collector_reason reason, uid_t uid)
{
	reception->calls.refuse(reception->calls.arg, reason, uid);
}

/* Whether a connection has something in it, which only closing it will get rid of: with
 * credentials wanted no message can look like none. Nothing more comes in. */
static bool
has_unheard(int fd)
{
	const int on = 1;
	struct msghdr message = {0};

	(void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	(void)shutdown(fd, SHUT_RD);
	return recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT) > 0 ||
	       message.msg_flags & MSG_CTRUNC;
}

static void
hang_up(int fd, uid_t uid)
{
	if (has_unheard(fd))
		closer_close(fd, uid);
	else
		close(fd);
}

static void
set_in_hand(struct reception *reception, unsigned connections)
{
	reception->calls.set_in_hand(reception->calls.arg, connections);
}

static void
dismiss(struct connection *connection)
{
	TAILQ_REMOVE(&connection->reception->waiting, connection, entry);
	event_watch_free(connection->watch);
	hang_up(connection->fd, connection->uid);
	free(connection);
}

static void
check_deadline(void *arg);

/* Wait for the deadline of the connection that has waited longest. */
static void
set_deadline(struct reception *reception)
{
	struct connection *first = TAILQ_FIRST(&reception->waiting);
	uint64_t now = event_now_ns(), due;

	event_watch_free(reception->deadline);
	reception->deadline = NULL;
	if (!first)
		return;
	due = first->since_ns + RECEPTION_WAIT_NS;
	reception->deadline = event_after(
		reception->loop, due > now ? due - now : 1, check_deadline, reception);
}

static void
check_deadline(void *arg)
{
	struct reception *reception = arg;
	uint64_t now = event_now_ns();
	struct connection *first;

	while ((first = TAILQ_FIRST(&reception->waiting)) &&
		now >= first->since_ns + RECEPTION_WAIT_NS) {
		refuse(reception, COLLECTOR_TIMEOUT, first->uid);
		dismiss(first);
	}
	set_deadline(reception);
}

/* Whether the process with that number is the user's. */
static bool
is_of_user(pid_t pid, uid_t uid)
{
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	return stat(path, &st) == 0 && st.st_uid == uid;
}

/* Fill in a descriptor of the process at the other end, as good as this kernel has it. */
static void
find_process(int fd, struct reception_guest *guest)
{
	socklen_t size = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &guest->pidfd, &size) == 0) {
		(void)fcntl(guest->pidfd, F_SETFD, FD_CLOEXEC);
		guest->gone = guest->pid > 0 && !reception_is_current(guest);
		return;
	}
	guest->pidfd = -1;
	guest->gone = errno != ENOPROTOOPT;
	if (guest->gone || guest->pid <= 0)
		return;
	/* Before that option: it could be another process by now, if not another user's. */
	guest->pidfd = (int)syscall(SYS_pidfd_open, guest->pid, 0);
	guest->gone = (guest->pidfd < 0 && errno == ESRCH) ||
		      !is_of_user(guest->pid, guest->uid);
	if (guest->gone && guest->pidfd >= 0) {
		close(guest->pidfd);
		guest->pidfd = -1;
	}
}

bool
reception_is_current(const struct reception_guest *guest)
{
	if (guest->gone || guest->pid <= 0)
		return false;
	return guest->pidfd < 0 || identity_is_current(guest->pidfd, guest->pid);
}

static void
release(struct reception *reception)
{
	for (int i = 0; i < RESERVE; i++) {
		if (reception->reserve[i] >= 0)
			close(reception->reserve[i]);
		reception->reserve[i] = -1;
	}
}

/* Returns 0 or -errno. */
static int
reserve(struct reception *reception)
{
	for (int i = 0; i < RESERVE; i++) {
		if (reception->reserve[i] < 0)
			reception->reserve[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (reception->reserve[i] < 0)
			return -errno;
	}
	return 0;
}

/* Take a connection's message, if it is there. Returns whether the connection has nothing
 * more to say. */
static int
hear(struct connection *connection)
{
	struct reception *reception = connection->reception;
	struct reception_guest guest = {.pid = connection->pid, .uid = connection->uid};
	enum collector_reason reason;
	int r;

	/* What it sends next may be as slow to close. */
	if (closer_waiting(connection->uid) > CLOSER_WAITING_MAX) {
		refuse(reception, COLLECTOR_QUOTA, connection->uid);
		return 1;
	}
	release(reception);
	r = hello_receive(connection->fd, &guest.hello, &guest.fd, &reason);
	if (r == -EAGAIN)
		return 0;
	if (r < 0) {
		refuse(reception, reason, connection->uid);
		return 1;
	}
	find_process(connection->fd, &guest);
	reception->calls.admit(reception->calls.arg, &guest);
	return 1;
}

static void
on_message(void *arg)
{
	struct connection *connection = arg;
	struct reception *reception = connection->reception;
	int heard;

	set_in_hand(reception, 1);
	heard = hear(connection);
	set_in_hand(reception, 0);
	if (!heard)
		return;
	dismiss(connection);
	set_deadline(reception);
}

/* See to it that there is room for one connection more of that user. The oldest has to go,
 * never the newest: among many that say nothing that may be the one whose message is on its
 * way. What the oldest has sent meanwhile is heard. */
static void
make_room(struct reception *reception, uid_t uid)
{
	struct connection *connection, *oldest = NULL;
	unsigned of_user = 0, all = 0;

	TAILQ_FOREACH (connection, &reception->waiting, entry) {
		all++;
		if (connection->uid != uid)
			continue;
		if (!oldest)
			oldest = connection;
		of_user++;
	}
	if (of_user < RECEPTION_WAITING_MAX)
		oldest = all < RECEPTION_WAITING_ALL ? NULL
						     : TAILQ_FIRST(&reception->waiting);
	if (!oldest)
		return;
	if (!hear(oldest))
		refuse(reception, COLLECTOR_QUOTA, oldest->uid);
	dismiss(oldest);
}

/* Let a connection that has said nothing so far wait. */
static void
let_wait(struct connection *connection)
{
	struct reception *reception = connection->reception;
	int first = TAILQ_EMPTY(&reception->waiting);

	make_room(reception, connection->uid);
	TAILQ_INSERT_TAIL(&reception->waiting, connection, entry);
	connection->since_ns = event_now_ns();
	connection->watch =
		event_readable(reception->loop, connection->fd, on_message, connection);
	if (!connection->watch) {
		refuse(reception, COLLECTOR_RESOURCES, connection->uid);
		dismiss(connection);
	} else if (first) {
		set_deadline(reception);
	}
}

static struct connection *
connection_new(struct reception *reception, int fd)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	socklen_t size = sizeof(struct ucred);
	struct ucred peer;

	if (!connection || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
		free(connection);
		refuse(reception, COLLECTOR_RESOURCES, (uid_t)-1);
		hang_up(fd, (uid_t)-1);
		return NULL;
	}
	if (quota_do(reception->quota, peer.uid, QUOTA_HANDSHAKES, event_now_ns()) < 0) {
		free(connection);
		refuse(reception, COLLECTOR_QUOTA, peer.uid);
		hang_up(fd, peer.uid);
		return NULL;
	}
	connection->reception = reception;
	connection->fd = fd;
	connection->pid = peer.pid;
	connection->uid = peer.uid;
	return connection;
}

static void
on_connect(void *arg);

static void
end_pause(void *arg)
{
	struct reception *reception = arg;

	event_watch_free(reception->pause);
	reception->pause = NULL;
	reception->listening =
		event_readable(reception->loop, reception->socket, on_connect, reception);
}

/* Without descriptors nobody can be accepted, and the socket would be readable for ever.
 * There registrations are in good hands for a while. */
static void
rest(struct reception *reception)
{
	static struct log_limit limit;

	log_warn_limited(&limit, event_now_ns(), "reception",
		"cannot accept a registration: %s; it waits", strerror(errno));
	reception->pause = event_after(reception->loop, PAUSE_NS, end_pause, reception);
	if (!reception->pause)
		return;
	event_watch_free(reception->listening);
	reception->listening = NULL;
}

/* Hear a new connection, and close it if it has no more to say. */
static int
is_done(struct connection *connection)
{
	if (!hear(connection))
		return 0;
	hang_up(connection->fd, connection->uid);
	free(connection);
	return 1;
}

static void
on_connect(void *arg)
{
	struct reception *reception = arg;
	struct connection *batch[BATCH];
	uint64_t end_ns = event_now_ns() + BATCH_NS;
	unsigned count = 0;

	for (unsigned i = 0; i < BATCH && event_now_ns() < end_ns; i++) {
		struct connection *connection;
		int fd;

		if (reserve(reception) < 0) {
			rest(reception);
			break;
		}
		set_in_hand(reception, count + 1);
		fd = accept4(reception->socket, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE)
				rest(reception);
			break;
		}
		connection = connection_new(reception, fd);
		if (connection && !is_done(connection))
			batch[count++] = connection;
	}
	/* A message that was just being sent has had time to come. */
	for (unsigned i = 0; i < count; i++) {
		set_in_hand(reception, count - i);
		if (!is_done(batch[i]))
			let_wait(batch[i]);
	}
	set_in_hand(reception, 0);
}

int
reception_open(struct event_loop *loop, int socket, struct quota *quota,
	const struct reception_calls *calls, struct reception **ret_reception)
{
	struct reception *reception = calloc(1, sizeof(*reception));

	if (!reception)
		return -ENOMEM;
	TAILQ_INIT(&reception->waiting);
	reception->loop = loop;
	reception->quota = quota;
	reception->calls = *calls;
	reception->socket = socket;
	for (int i = 0; i < RESERVE; i++)
		reception->reserve[i] = -1;
	reception->listening = event_readable(loop, socket, on_connect, reception);
	if (!reception->listening) {
		reception_close(reception);
		return -ENOMEM;
	}
	*ret_reception = reception;
	return 0;
}

void
reception_close(struct reception *reception)
{
	if (!reception)
		return;
	while (!TAILQ_EMPTY(&reception->waiting))
		dismiss(TAILQ_FIRST(&reception->waiting));
	event_watch_free(reception->deadline);
	event_watch_free(reception->pause);
	event_watch_free(reception->listening);
	release(reception);
	free(reception);
}
