/* SPDX-License-Identifier: MIT */
/* Asks a daemon over HTTP. */
#ifndef LOOPLAG_CLI_FETCH_H
#define LOOPLAG_CLI_FETCH_H

#include <stdbool.h>

#define FETCH_URL "http://127.0.0.1:9923"
#define FETCH_ERROR_BYTES 256

struct fetch;

/* Whether this looplag was built with a library that can. */
bool
fetch_is_possible(void);

/* Ready to ask the daemon at that URL, which is borrowed. NULL on failure. */
struct fetch *
fetch_new(const char *url);
void
fetch_free(struct fetch *fetch);

/* While an answer is waited for, ask fn(arg) now and then whether to give up. */
void
fetch_interrupt(struct fetch *fetch, bool (*fn)(void *arg), void *arg);

/*
 * Get a page. Waits for some seconds at the most, and no longer than until SIGINT or SIGTERM
 * has come, where they are blocked, or until somebody gives up. Returns 0 with the body, which caller frees; -EINTR;
 * -ENOTCONN if nobody answers, -EPROTO if somebody else does: then ret_error says why.
 */
__attribute__((warn_unused_result)) int
fetch_get(struct fetch *fetch, const char *path, char **ret_body,
	char ret_error[FETCH_ERROR_BYTES]);

#endif
