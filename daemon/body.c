/* SPDX-License-Identifier: MIT */
/* Bodies of answers; see body.h. No piece ever moves: nothing is copied as it grows. */

#include "config.h"

#include "daemon/body.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#define PIECE_MIN 4096
#define PIECE_MAX 262144

struct piece {
	size_t bytes, room;
	char data[];
};

struct body {
	struct piece **pieces;
	size_t count;
	size_t bytes;
};

/* Add an empty piece, as large as all before. Returns whether there is one. */
static int
add_piece(struct body *body)
{
	size_t room = body->bytes < PIECE_MIN   ? PIECE_MIN
		      : body->bytes > PIECE_MAX ? PIECE_MAX
						: body->bytes;
	struct piece **pieces =
		reallocarray(body->pieces, body->count + 1, sizeof(*pieces));
	struct piece *piece;

	if (!pieces)
		return 0;
	body->pieces = pieces;
	piece = malloc(sizeof(*piece) + room);
	if (!piece)
		return 0;
	piece->bytes = 0;
	piece->room = room;
	body->pieces[body->count++] = piece;
	return 1;
}

static ssize_t
write_cb(void *cookie, const char *data, size_t bytes)
{
	struct body *body = cookie;
	size_t written = 0;

	while (written < bytes) {
		struct piece *piece = body->count ? body->pieces[body->count - 1] : NULL;
		size_t part = bytes - written;

		if (!piece || piece->bytes == piece->room) {
			if (!add_piece(body)) {
				errno = ENOMEM;
				return 0;
			}
			continue;
		}
		if (part > piece->room - piece->bytes)
			part = piece->room - piece->bytes;
		memcpy(piece->data + piece->bytes, data + written, part);
		piece->bytes += part;
		body->bytes += part;
		written += part;
	}
	return (ssize_t)written;
}

struct body *
body_new(FILE **ret_out)
{
	struct body *body = calloc(1, sizeof(*body));

	if (!body)
		return NULL;
	*ret_out = fopencookie(body, "w", (cookie_io_functions_t){.write = write_cb});
	if (!*ret_out) {
		free(body);
		return NULL;
	}
	return body;
}

void
body_free(struct body *body)
{
	if (!body)
		return;
	for (size_t i = 0; i < body->count; i++)
		free(body->pieces[i]);
	free(body->pieces);
	free(body);
}

size_t
body_bytes(const struct body *body)
{
	return body->bytes;
}

size_t
body_pieces(const struct body *body)
{
	return body->count;
}

const char *
body_piece(const struct body *body, size_t index, size_t *ret_bytes)
{
	*ret_bytes = body->pieces[index]->bytes;
	return body->pieces[index]->data;
}
