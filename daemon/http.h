/* SPDX-License-Identifier: MIT */
/*
 * The HTTP server: evhttp behind a table of routes. It answers GET and HEAD, or POST and
 * PUT where that is the route's, everything else with 405, and unknown paths with 404.
 *
 * Whatever clients do, each turn of the loop stays short and memory bounded: few
 * connections are accepted at a time, and few are kept; a page that takes long is found out
 * in steps, and written and compressed in another thread, one page after the other, and all
 * who want the same one share it; what is made and read too slowly makes room for what is
 * asked for next.
 */
#ifndef LOOPLAG_DAEMON_HTTP_H
#define LOOPLAG_DAEMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define HTTP_SOCKETS 8

struct event_loop;
struct http;
struct metrics;
struct web_access;
struct web_files;

/* What a client asks for. */
struct http_request {
	const char *query; /* as it stands behind the ? in the URL; NULL: nothing */
	unsigned variant;  /* which one of the route's pages */
	bool gzip;         /* compressed by the server, if it is worth it */
};

struct http_reply {
	int status;               /* 0: out of memory */
	const char *content_type; /* constant */
};

/* A page that is made in steps. */
struct http_work {
	/* Do some more of it, for less than a millisecond if that can be. Returns 1
	 * while there is more, 0 when there is not, or -errno. */
	int (*step)(struct http_work *work, FILE *out);
	/* Write, in another thread, what is to be written after the last step. Returns 0 or
	 * -errno. NULL: nothing is. */
	int (*write)(struct http_work *work, FILE *out);
	void (*free)(struct http_work *work);
};

/* Write the page, or set *ret_work, the server's from then on, which does. */
typedef struct http_reply (*http_fn)(void *arg, const struct http_request *request,
	FILE *out, struct http_work **ret_work);

struct http_route {
	const char *path;
	http_fn fn;
	bool queued;  /* it takes its turn after other pages, else it is made at once */
	bool queries; /* the query changes it; else fn gets none */
	/* Which of its variants is wanted by who sends that as Accept, or NULL; no function:
	 * there is one, of number 0. */
	unsigned (*choose)(const char *accept);
	bool posts; /* it is for POST and PUT, and does something */
};

struct http_options {
	const struct http_route *routes; /* borrowed */
	size_t count;
	void *arg;                     /* of the routes' functions */
	const struct web_files *files; /* that are served beside the routes; borrowed */
	struct web_access *access;     /* who may ask; borrowed */
	unsigned max_requests;         /* for queued pages at a time; 0: any number */
};

/* The server, one in a process. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
http_open(struct event_loop *loop, const struct http_options *options,
	struct http **ret_http);
void
http_close(struct http *http);

/* Serve a listening TCP socket, borrowed until http_close(); HTTP_SOCKETS at most. Returns
 * 0 or -errno. */
__attribute__((warn_unused_result)) int
http_accept(struct http *http, int fd);

/* Accept nobody any more, finish what was asked for before, and call done(arg) once: when
 * all of that is sent, or after five seconds. It may be called within this call. */
void
http_drain(struct http *http, void (*done)(void *arg), void *arg);

/* Add the server's own metrics. */
void
http_collect(const struct http *http, struct metrics *metrics);

#endif
