/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server: evhttp behind a table of routes. It answers GET and HEAD, everything
 * else with 405, and unknown paths with 404.
 */
#ifndef LOOPLAG_DAEMON_HTTP_H
#define LOOPLAG_DAEMON_HTTP_H

#include <stddef.h>

#define HTTP_SOCKETS 8

struct event_loop;
struct http;

struct http_reply {
	int status;
	const char *content_type; /* constant */
	char *body; /* from malloc, freed by the server; NULL: out of memory */
	size_t length;
};

/* `query` is what stands behind the ? in the URL, as it was sent; NULL: nothing. */
typedef struct http_reply (*http_fn)(void *arg, const char *query);

struct http_route {
	const char *path;
	http_fn fn;
};

/* The server, one in a process, of these routes, borrowed, whose functions are called with `arg`. Returns 0 or
 * -errno. */
__attribute__((warn_unused_result)) int
http_open(struct event_loop *loop, const struct http_route *routes, size_t count,
	void *arg, struct http **ret_http);
void
http_close(struct http *http);

/* Serve a listening TCP socket, borrowed until http_close(); HTTP_SOCKETS at most. Returns
 * 0 or -errno. */
__attribute__((warn_unused_result)) int
http_accept(struct http *http, int fd);

#endif
