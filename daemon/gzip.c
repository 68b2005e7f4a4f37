/* SPDX-License-Identifier: MIT */
/* Compresses bodies; see gzip.h. */

#include "config.h"

#include "daemon/gzip.h"

#include <stdint.h>
#include <stdio.h>

#include <zlib.h>

#include "daemon/body.h"

/* The fastest: lines are so alike that another one gains little. */
#define LEVEL 1
#define GZIP_FORMAT 16 /* zlib's way to ask for it */

/* Compress a piece; whether `out` takes it is told when it is closed. */
static void
pack_piece(z_stream *stream, const char *data, size_t bytes, int flush, FILE *out)
{
	Bytef buffer[16384];

	stream->next_in = (Bytef *)(uintptr_t)data;
	stream->avail_in = (uInt)bytes;
	do {
		stream->next_out = buffer;
		stream->avail_out = sizeof(buffer);
		/* It cannot fail: there is always room. */
		(void)deflate(stream, flush);
		fwrite_unlocked(buffer, 1, sizeof(buffer) - stream->avail_out, out);
	} while (!stream->avail_out);
}

struct body *
gzip_pack(const struct body *body)
{
	z_stream stream = {0};
	struct body *packed;
	FILE *out;

	packed = body_new(&out);
	if (!packed)
		return NULL;
	if (deflateInit2(&stream, LEVEL, Z_DEFLATED, MAX_WBITS + GZIP_FORMAT, 8,
		    Z_DEFAULT_STRATEGY) != Z_OK) {
		fclose(out);
		body_free(packed);
		return NULL;
	}
	for (size_t i = 0; i < body_pieces(body); i++) {
		size_t bytes;
		const char *piece = body_piece(body, i, &bytes);

		pack_piece(&stream, piece, bytes, Z_NO_FLUSH, out);
	}
	pack_piece(&stream, NULL, 0, Z_FINISH, out);
	deflateEnd(&stream);
	if (fclose(out)) {
		body_free(packed);
		return NULL;
	}
	return packed;
}
