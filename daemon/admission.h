/* SPDX-License-Identifier: MIT */
/*
 * Whether a request is let in: by its user and password, where the web configuration has
 * any. Who is not is answered here. A part of http.c.
 */
#ifndef LOOPLAG_DAEMON_ADMISSION_H
#define LOOPLAG_DAEMON_ADMISSION_H

#include <stdint.h>

struct admission;
struct web_access;

/* libevent's. */
struct evhttp_request;

/* Called when the request is let in. */
typedef void (*admission_fn)(void *arg, struct evhttp_request *request);

/* Called when it is not, and the answer is sent. */
typedef void (*admission_end_fn)(void *arg);

/* By what that says; borrowed. NULL without memory. */
struct admission *
admission_new(
	struct web_access *access, admission_fn enter, admission_end_fn end, void *arg);

/* Forget who waits; before evhttp frees the requests. Nobody is called any more. */
void
admission_free(struct admission *admission);

/* Call one of the two functions, now or later, and give the answer its headers. */
void
admission_ask(struct admission *admission, struct evhttp_request *request);

/* How many were not let in, and how many were not even heard. */
uint64_t
admission_count_denied(const struct admission *admission);
uint64_t
admission_count_busy(const struct admission *admission);

#endif
