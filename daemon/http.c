/* SPDX-License-Identifier: MIT */
/* The HTTP server: evhttp behind a table of routes. */

#include "config.h"

#include "daemon/http.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "daemon/connections.h"
#include "daemon/event.h"
#include "daemon/log.h"

#define HEADERS_BYTES 16384
#define BODY_BYTES 4096
#define SILENCE_SECONDS 30
#define CONNECTIONS 64
#define CONNECTIONS_KEPT 48
#define CONNECTIONS_IN_NEED 4
#define PAUSE_NS 100000000ull

/* Every method that evhttp knows, so that it is us who refuse. */
#define METHODS                                                                \
	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | \
		EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |    \
		EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

struct http {
	struct event_loop *loop; /* borrowed */
	struct evhttp *evhttp;
	const struct http_route *routes;
	size_t count;
	void *arg;
	unsigned connections; /* never less than there are */
	struct evconnlistener *listeners[HTTP_SOCKETS];
	size_t listener_count;
	int spare_fd;              /* given up to look around when there are no more */
	struct event_watch *pause; /* until connections are accepted again, or NULL */
};

/* The server. A listener that fails tells evhttp's own argument, not ours. */
static struct http *serving;

static void
free_body_cb(const void *data, size_t length, void *body)
{
	free(body);
}

/* Send a reply; takes its body, which HEAD only counts. */
static void
send_reply(struct evhttp_request *request, struct http_reply reply)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct evbuffer *body = evbuffer_new();
	char length[24];

	if (!reply.body || !body ||
		evbuffer_add_reference(
			body, reply.body, reply.length, free_body_cb, reply.body)) {
		free(reply.body);
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
		goto out;
	}
	snprintf(length, sizeof(length), "%zu", reply.length);
	evhttp_add_header(headers, "Content-Length", length);
	evhttp_add_header(headers, "Content-Type", reply.content_type);
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	/* evhttp itself would send the body in answer to HEAD too. */
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		evbuffer_drain(body, reply.length);
	evhttp_send_reply(request, reply.status, NULL, body);
out:
	if (body)
		evbuffer_free(body);
}

static void
send_text(struct evhttp_request *request, int status, const char *text)
{
	send_reply(request, (struct http_reply){.status = status,
				    .content_type = "text/plain; charset=utf-8",
				    .body = strdup(text),
				    .length = strlen(text)});
}

static void
request_cb(struct evhttp_request *request, void *arg)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = evhttp_uri_get_path(uri);
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	const struct http *http = arg;

	for (size_t i = 0; path && i < http->count; i++) {
		if (strcmp(path, http->routes[i].path))
			continue;
		if (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD) {
			send_reply(request,
				http->routes[i].fn(http->arg, evhttp_uri_get_query(uri)));
			return;
		}
		evhttp_add_header(
			evhttp_request_get_output_headers(request), "Allow", "GET, HEAD");
		send_text(request, HTTP_BADMETHOD, "Only GET and HEAD are served.\n");
		return;
	}
	send_text(request, HTTP_NOTFOUND, "Not found; / says what there is.\n");
}

/* Called for each connection that evhttp has accepted. */
static struct bufferevent *
connection_cb(struct event_base *base, void *arg)
{
	struct http *http = arg;

	if (++http->connections > CONNECTIONS)
		http->connections = connections_shed(CONNECTIONS, CONNECTIONS_KEPT);
	return bufferevent_socket_new(base, -1, 0);
}

static void
end_pause(void *arg)
{
	struct http *http = arg;

	event_watch_free(http->pause);
	http->pause = NULL;
	for (size_t i = 0; i < http->listener_count; i++)
		evconnlistener_enable(http->listeners[i]);
}

/*
 * Called when a connection could not be accepted, most likely as there are no descriptors
 * left. libevent would try again at once, and for ever: end silent connections, and wait.
 */
static void
accept_failed_cb(struct evconnlistener *listener, void *arg)
{
	static struct log_limit limit;
	struct http *http = serving;

	log_warn_limited(&limit, event_now_ns(), "http",
		"cannot accept a connection: %s; ending silent ones", strerror(errno));
	if (http->spare_fd >= 0)
		close(http->spare_fd);
	http->connections = connections_shed(CONNECTIONS_IN_NEED, CONNECTIONS_IN_NEED);
	http->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (http->pause)
		return;
	http->pause = event_after(http->loop, PAUSE_NS, end_pause, http);
	for (size_t i = 0; http->pause && i < http->listener_count; i++)
		evconnlistener_disable(http->listeners[i]);
}

int
http_open(struct event_loop *loop, const struct http_route *routes, size_t count,
	void *arg, struct http **ret_http)
{
	const struct timeval silence = {.tv_sec = SILENCE_SECONDS};
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return -ENOMEM;
	http->loop = loop;
	http->evhttp = evhttp_new(event_loop_base(loop));
	if (!http->evhttp) {
		free(http);
		return -ENOMEM;
	}
	http->routes = routes;
	http->count = count;
	http->arg = arg;
	http->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	evhttp_set_allowed_methods(http->evhttp, METHODS);
	evhttp_set_max_headers_size(http->evhttp, HEADERS_BYTES);
	evhttp_set_max_body_size(http->evhttp, BODY_BYTES);
	evhttp_set_timeout_tv(http->evhttp, &silence);
	evhttp_set_bevcb(http->evhttp, connection_cb, http);
	evhttp_set_gencb(http->evhttp, request_cb, http);
	serving = http;
	*ret_http = http;
	return 0;
}

void
http_close(struct http *http)
{
	if (!http)
		return;
	event_watch_free(http->pause);
	evhttp_free(http->evhttp);
	if (http->spare_fd >= 0)
		close(http->spare_fd);
	serving = NULL;
	free(http);
}

int
http_accept(struct http *http, int fd)
{
	struct evconnlistener *listener;

	if (http->listener_count == HTTP_SOCKETS)
		return -ENOSPC;
	listener = evconnlistener_new(
		event_loop_base(http->loop), NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!listener)
		return -ENOMEM;
	if (!evhttp_bind_listener(http->evhttp, listener)) {
		evconnlistener_free(listener);
		return -ENOMEM;
	}
	evconnlistener_set_error_cb(listener, accept_failed_cb);
	http->listeners[http->listener_count++] = listener;
	return 0;
}
