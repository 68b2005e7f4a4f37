/* SPDX-License-Identifier: MIT */
/*
 * The pages of the HTTP server from when they are asked for until they are sent.
 *
 *	request -> page in the queue -> steps -> written, compressed -> sent -> freed
 *	                                        (in another thread)
 *
 * Requests that find a page in the queue which is not begun yet share it: what they get
 * was all found out after they came. One page is made after the other.
 */
#ifndef LOOPLAG_DAEMON_PAGE_QUEUE_H
#define LOOPLAG_DAEMON_PAGE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/http.h"

struct connections;
struct evhttp_request;
struct event_loop;
struct page_queue;

/* `fn_arg` is the routes' functions', leave(arg) is called for each answer when it is sent or
 * has no taker any more. All is borrowed. NULL without memory. */
struct page_queue *
page_queue_new(struct event_loop *loop, void *fn_arg, struct connections *connections,
	void (*leave)(void *arg), void *arg);
/* evhttp frees the requests, before or after, and later what it still has to send. */
void
page_queue_free(struct page_queue *queue);

/* Have the request answered with a page. It may be sent, and leave() called, within this
 * call. Returns 0; or, when the request stays the caller's, -EBUSY: too many of that route
 * wait, or -ENOMEM. */
__attribute__((warn_unused_result)) int
page_queue_add(struct page_queue *queue, const struct http_route *route,
	const struct http_request *asked, struct evhttp_request *request);

/* Requests whose page is not made yet. */
size_t
page_queue_waiting(const struct page_queue *queue);

/* Answers that were given up, as they were taken too slowly. */
uint64_t
page_queue_count_slow(const struct page_queue *queue);

#endif
