/* SPDX-License-Identifier: MIT */
/* How an answer is handed over to evhttp. A part of http.c. */
#ifndef LOOPLAG_DAEMON_REPLY_H
#define LOOPLAG_DAEMON_REPLY_H

#include <stddef.h>

struct http_reply;

/* libevent's. */
struct evbuffer;
struct evhttp_request;

/* Add a header to the answer that is to come. */
void
reply_add_header(struct evhttp_request *request, const char *name, const char *value);

/* Have the client ask again in a second, by another connection. */
void
reply_come_again(struct evhttp_request *request);

/* Answer; `body`, which is `bytes` long or, for HEAD, empty, stays the caller's. */
void
reply_send(struct evhttp_request *request, const struct http_reply *reply, size_t bytes,
	struct evbuffer *body);

/* Answer with a plain text, a constant. */
void
reply_text(struct evhttp_request *request, int status, const char *text);

/* The same, and call sent(arg) when it is sent or its connection is gone; maybe at once. */
void
reply_text_then(struct evhttp_request *request, int status, const char *text,
	void (*sent)(void *arg), void *arg);

#endif
