/* SPDX-License-Identifier: MIT */
/* Compresses bodies; see gzip.h. */

#include "config.h"

#include "daemon/gzip.h"

#include <stdint.h>
#include <stdlib.h>

#include <zlib.h>

#include "daemon/body.h"

/* The fastest: pages are so alike from line to line that another one gains little. */
#define LEVEL 1
#define GZIP_FORMAT 16 /* zlib's way to ask for it */
#define STEP_BYTES 65536

struct gzip {
	const struct body *from;
	size_t piece, offset; /* that come next */
	z_stream stream;
};

struct gzip *
gzip_new(const struct body *from)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));

	if (!gzip)
		return NULL;
	gzip->from = from;
	if (deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, MAX_WBITS + GZIP_FORMAT, 8,
		    Z_DEFAULT_STRATEGY) != Z_OK) {
		free(gzip);
		return NULL;
	}
	return gzip;
}

void
gzip_free(struct gzip *gzip)
{
	if (!gzip)
		return;
	deflateEnd(&gzip->stream);
	free(gzip);
}

/* Have the next part of the body compressed. Returns whether it was the last one. */
static int
take_part(struct gzip *gzip)
{
	size_t bytes = 0;
	const char *data = NULL;

	if (gzip->piece < body_pieces(gzip->from))
		data = body_piece(gzip->from, gzip->piece, &bytes) + gzip->offset;
	bytes -= gzip->offset;
	if (bytes > STEP_BYTES) {
		bytes = STEP_BYTES;
		gzip->offset += bytes;
	} else {
		gzip->offset = 0;
		gzip->piece++;
	}
	gzip->stream.next_in = (Bytef *)(uintptr_t)data;
	gzip->stream.avail_in = (uInt)bytes;
	return gzip->piece >= body_pieces(gzip->from);
}

int
gzip_step(struct gzip *gzip, FILE *out)
{
	int last = take_part(gzip);
	Bytef buffer[16384];

	do {
		gzip->stream.next_out = buffer;
		gzip->stream.avail_out = sizeof(buffer);
		/* It cannot fail: there is always room. */
		(void)deflate(&gzip->stream, last ? Z_FINISH : Z_NO_FLUSH);
		fwrite_unlocked(buffer, 1, sizeof(buffer) - gzip->stream.avail_out, out);
	} while (!gzip->stream.avail_out);
	return !last;
}
