/* SPDX-License-Identifier: MIT */
/* The body of an answer: written once, then read by any number of connections. */
#ifndef LOOPLAG_DAEMON_BODY_H
#define LOOPLAG_DAEMON_BODY_H

#include <stddef.h>
#include <stdio.h>

struct body;

/* An empty one, and a stream that adds to it, which the caller closes; that
 * fails if there was too little memory. NULL without memory. */
struct body *
body_new(FILE **ret_out);
void
body_free(struct body *body);

size_t
body_bytes(const struct body *body);

/* Where it lies: pieces in their order, borrowed; no piece ever moves. */
size_t
body_pieces(const struct body *body);
const char *
body_piece(const struct body *body, size_t index, size_t *ret_bytes);

#endif
