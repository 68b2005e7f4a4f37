/* SPDX-License-Identifier: MIT */
/* Answers as evhttp sends them; see reply.h. */

#include "config.h"

#include "daemon/reply.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>

#include "daemon/http.h"

#define NOSNIFF "X-Content-Type-Options"

void
reply_add_header(struct evhttp_request *request, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

void
reply_come_again(struct evhttp_request *request)
{
	reply_add_header(request, "Retry-After", "1");
	reply_add_header(request, "Connection", "close");
}

/* HEAD only counts the body: evhttp would send it. */
void
reply_send(struct evhttp_request *request, const struct http_reply *reply, size_t bytes,
	struct evbuffer *body)
{
	struct evhttp_connection *connection = evhttp_request_get_connection(request);
	char length[24];

	snprintf(length, sizeof(length), "%zu", bytes);
	reply_add_header(request, "Content-Length", length);
	reply_add_header(request, "Content-Type", reply->content_type);
	if (!evhttp_find_header(evhttp_request_get_output_headers(request), NOSNIFF))
		reply_add_header(request, NOSNIFF, "nosniff");
	evhttp_send_reply(request, reply->status, NULL, body);
	/* evhttp would take what comes next, without end, and for the end of the stream
	 * it would drop the answer of who has only closed one half. */
	if (connection)
		bufferevent_disable(
			evhttp_connection_get_bufferevent(connection), EV_READ);
}

/* Whom to tell that a text is sent. */
struct listener {
	void (*sent)(void *arg);
	void *arg;
};

static void
sent_cb(const void *data, size_t bytes, void *arg)
{
	struct listener listener = *(struct listener *)arg;

	free(arg);
	listener.sent(listener.arg);
}

void
reply_text_then(struct evhttp_request *request, int status, const char *text,
	void (*sent)(void *arg), void *arg)
{
	const struct http_reply reply = {
		.status = status, .content_type = "text/plain; charset=utf-8"};
	struct listener *listener = malloc(sizeof(*listener));
	struct evbuffer *body = evbuffer_new();
	bool told = false;

	if (listener)
		*listener = (struct listener){sent, arg};
	if (body && listener && evhttp_request_get_command(request) != EVHTTP_REQ_HEAD)
		told = !evbuffer_add_reference(
			body, text, strlen(text), sent_cb, listener);
	reply_send(request, &reply, strlen(text), body);
	if (body)
		evbuffer_free(body);
	if (told)
		return;
	free(listener);
	sent(arg);
}

static void
tell_nobody(void *arg)
{
}

void
reply_text(struct evhttp_request *request, int status, const char *text)
{
	reply_text_then(request, status, text, tell_nobody, NULL);
}
