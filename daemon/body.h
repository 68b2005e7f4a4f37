/* SPDX-License-Identifier: MIT */
/*
 * The body of an answer: written once, piece by piece, and then read by any number of
 * connections, the slowest of which keeps it.
 */
#ifndef LOOPLAG_DAEMON_BODY_H
#define LOOPLAG_DAEMON_BODY_H

#include <stddef.h>
#include <stdio.h>

struct body;

/* An empty one, held once, and a stream that adds to it, which the caller closes; that
 * fails if there was too little memory. NULL without memory. */
struct body *
body_new(FILE **ret_out);

/* Hold it once more, or once less; the last one frees it. */
void
body_hold(struct body *body);
void
body_drop(struct body *body);

size_t
body_bytes(const struct body *body);

/* Where it lies: pieces in their order, borrowed as long as it is held. */
size_t
body_pieces(const struct body *body);
const char *
body_piece(const struct body *body, size_t index, size_t *ret_bytes);

#endif
