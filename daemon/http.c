/* SPDX-License-Identifier: MIT */
/* The HTTP server: evhttp behind a table of routes. */

#include "config.h"

#include "daemon/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>

#include "daemon/connections.h"
#include "daemon/event.h"

#define HEADERS_BYTES 16384
#define BODY_BYTES 4096
#define SILENCE_SECONDS 30
#define CONNECTIONS 64
#define CONNECTIONS_KEPT 48

/* Every method that evhttp knows, so that it is us who refuse. */
#define METHODS                                                                \
	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT | \
		EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |    \
		EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

struct http {
	struct event_base *base; /* borrowed */
	struct evhttp *evhttp;
	const struct http_route *routes;
	size_t count;
	void *arg;
	unsigned connections; /* never less than there are */
};

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
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	const struct http *http = arg;

	for (size_t i = 0; path && i < http->count; i++) {
		if (strcmp(path, http->routes[i].path))
			continue;
		if (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD) {
			send_reply(request, http->routes[i].fn(http->arg));
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

int
http_open(struct event_loop *loop, const struct http_route *routes, size_t count,
	void *arg, struct http **ret_http)
{
	const struct timeval silence = {.tv_sec = SILENCE_SECONDS};
	struct http *http = calloc(1, sizeof(*http));

	if (!http)
		return -ENOMEM;
	http->base = event_loop_base(loop);
	http->evhttp = evhttp_new(http->base);
	if (!http->evhttp) {
		free(http);
		return -ENOMEM;
	}
	http->routes = routes;
	http->count = count;
	http->arg = arg;
	evhttp_set_allowed_methods(http->evhttp, METHODS);
	evhttp_set_max_headers_size(http->evhttp, HEADERS_BYTES);
	evhttp_set_max_body_size(http->evhttp, BODY_BYTES);
	evhttp_set_timeout_tv(http->evhttp, &silence);
	evhttp_set_bevcb(http->evhttp, connection_cb, http);
	evhttp_set_gencb(http->evhttp, request_cb, http);
	*ret_http = http;
	return 0;
}

void
http_close(struct http *http)
{
	if (!http)
		return;
	evhttp_free(http->evhttp);
	free(http);
}

int
http_accept(struct http *http, int fd)
{
	struct evconnlistener *listener =
		evconnlistener_new(http->base, NULL, NULL, LEV_OPT_CLOSE_ON_EXEC, 0, fd);

	if (!listener)
		return -ENOMEM;
	if (!evhttp_bind_listener(http->evhttp, listener)) {
		evconnlistener_free(listener);
		return -ENOMEM;
	}
	return 0;
}
