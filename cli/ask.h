/* SPDX-License-Identifier: MIT */
/* Asks looplagd for what it knows, and tells people when that fails. */
#ifndef LOOPLAG_CLI_ASK_H
#define LOOPLAG_CLI_ASK_H

#include <stdbool.h>

#include <jansson.h>

#include "cli/fetch.h"

/* Whether this looplag can ask at all; if not, that is said, with the page that has the same
 * as JSON. */
bool
ask_is_possible(const char *verb, const char *path);

/* Say why fetch_get() of something has failed; `what` is what was looked for. */
void
ask_complain(const char *url, const char *what, int error, const char *words);

/* Get a page of JSON, an object with an array of that name, and give it to the caller.
 * Returns as fetch_get() does. */
__attribute__((warn_unused_result)) int
ask_get(struct fetch *fetch, const char *path, const char *array, json_t **ret_answer,
	char ret_error[FETCH_ERROR_BYTES]);

/* The same, and say why it fails, unless a signal waits. */
__attribute__((warn_unused_result)) int
ask_json(struct fetch *fetch, const char *url, const char *path, const char *array,
	json_t **ret_answer);

/* A page with a query, PATH?NAME=VALUE, in which any value can stand; caller frees. NULL
 * without memory. */
char *
ask_path(const char *path, const char *name, const char *value);

#endif
