/* SPDX-License-Identifier: MIT */
/* The HTTP server's listening sockets; see doors.h. */

#include "config.h"

#include "daemon/doors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "daemon/connections.h"
#include "daemon/event.h"
#include "daemon/http.h"
#include "daemon/log.h"
#include "daemon/web_access.h"

/* What a connection may have sent and nobody has looked at. */
#define INPUT_BYTES 32768
#define CONNECTIONS 160
#define CONNECTIONS_IN_NEED 4
/* Of all descriptors that we may have; the others are for targets. */
#define CONNECTIONS_SHARE 8
#define ACCEPTS_AT_ONCE 16
/* The same where each costs a signature. */
#define HANDSHAKES_AT_ONCE 2
/* An eighth of the connections is given up no more often than that, so that each has eight
 * times as long for its part of the handshake. */
#define HANDSHAKE_NS 40000000ull
#define PAUSE_NS 100000000ull

struct doors {
	struct event_loop *loop;   /* borrowed */
	struct evhttp *evhttp;     /* the same */
	struct web_access *access; /* the same */
	struct connections *connections;
	struct evconnlistener *listeners[HTTP_SOCKETS];
	size_t count;
	unsigned accepted;         /* since other events had their turn */
	int spare_fd;              /* given up to look around when there are no more */
	struct event_watch *pause; /* until connections are accepted again, or NULL */
	bool shut;
};

/* A listener that fails tells evhttp's own argument, not ours. */
static struct doors *serving;

static void
end_pause(void *arg)
{
	struct doors *doors = arg;

	event_watch_free(doors->pause);
	doors->pause = NULL;
	doors->accepted = 0;
	for (size_t i = 0; !doors->shut && i < doors->count; i++)
		evconnlistener_enable(doors->listeners[i]);
}

/* Accept nobody for a while. */
static void
pause_accepting(struct doors *doors, uint64_t pause_ns)
{
	if (doors->pause)
		return;
	doors->pause = event_after(doors->loop, pause_ns, end_pause, doors);
	for (size_t i = 0; doors->pause && i < doors->count; i++)
		evconnlistener_disable(doors->listeners[i]);
}

/* Called for each connection that evhttp has accepted. */
static struct bufferevent *
connection_cb(struct event_base *base, void *arg)
{
	struct doors *doors = arg;
	struct bufferevent *stream;
	unsigned shed;
	bool tls;

	web_access_look(doors->access);
	tls = web_access_has_tls(doors->access);
	stream = web_access_stream(doors->access, base);
	if (stream)
		bufferevent_setwatermark(stream, EV_READ, 0, INPUT_BYTES);
	shed = connections_accepted(doors->connections, event_now_ns());
	/* libevent would go on for as long as there are any. */
	if (tls && shed)
		pause_accepting(doors, HANDSHAKE_NS);
	else if (++doors->accepted >= (tls ? HANDSHAKES_AT_ONCE : ACCEPTS_AT_ONCE))
		pause_accepting(doors, 0);
	return stream;
}

/*
 * Called when a connection could not be accepted, most likely as there are no descriptors
 * left. libevent would try again at once, and for ever: end silent connections, and wait.
 */
static void
accept_failed_cb(struct evconnlistener *listener, void *arg)
{
	static struct log_limit limit;
	struct doors *doors = serving;

	log_warn_limited(&limit, event_now_ns(), "http",
		"cannot accept a connection: %s; ending silent ones", strerror(errno));
	if (doors->spare_fd >= 0)
		close(doors->spare_fd);
	connections_shed(doors->connections, CONNECTIONS_IN_NEED, event_now_ns());
	doors->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pause_accepting(doors, PAUSE_NS);
}

/* How many connections there may be, so that targets can register whoever connects here. */
static unsigned
connection_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) ||
		limit.rlim_cur / CONNECTIONS_SHARE >= CONNECTIONS)
		return CONNECTIONS;
	return (unsigned)limit.rlim_cur / CONNECTIONS_SHARE + CONNECTIONS_IN_NEED;
}

struct doors *
doors_new(struct event_loop *loop, struct evhttp *evhttp, struct web_access *access)
{
	struct doors *doors = calloc(1, sizeof(*doors));

	if (!doors)
		return NULL;
	doors->loop = loop;
	doors->evhttp = evhttp;
	doors->access = access;
	doors->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	doors->connections = connections_new(connection_limit());
	if (!doors->connections) {
		doors_free(doors);
		return NULL;
	}
	evhttp_set_bevcb(evhttp, connection_cb, doors);
	serving = doors;
	return doors;
}

void
doors_free(struct doors *doors)
{
	if (!doors)
		return;
	event_watch_free(doors->pause);
	connections_free(doors->connections);
	if (doors->spare_fd >= 0)
		close(doors->spare_fd);
	serving = NULL;
	free(doors);
}

int
doors_open(struct doors *doors, int fd)
{
	struct evconnlistener *listener;

	if (doors->count == HTTP_SOCKETS)
		return -ENOSPC;
	listener = evconnlistener_new(
		event_loop_base(doors->loop), NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!listener)
		return -ENOMEM;
	if (!evhttp_bind_listener(doors->evhttp, listener)) {
		evconnlistener_free(listener);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(listener, accept_failed_cb);
	doors->listeners[doors->count++] = listener;
	return 0;
}

void
doors_shut(struct doors *doors)
{
	doors->shut = true;
	for (size_t i = 0; i < doors->count; i++)
		evconnlistener_disable(doors->listeners[i]);
}

struct connections *
doors_connections(const struct doors *doors)
{
	return doors->connections;
}
