/* SPDX-License-Identifier: MIT */
/* A stream that compresses; see gzip.h. */

#include "config.h"

#include "daemon/gzip.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <zlib.h>

/* The fastest: lines are so alike that another one gains little. */
#define LEVEL 1
#define GZIP_FORMAT 16 /* zlib's way to ask for it */
#define BUFFER_BYTES 32768

struct gzip {
	FILE *to;
	bool *packed; /* what was held back is on its way */
	z_stream stream;
	size_t held_bytes;
	char held[GZIP_WORTH_BYTES]; /* while there is no more than that */
};

/* Compress it. Returns whether the other stream takes it. */
static bool
pack(struct gzip *gzip, const char *data, size_t bytes, int flush)
{
	Bytef buffer[16384];
	size_t filled;

	gzip->stream.next_in = (Bytef *)(uintptr_t)data;
	gzip->stream.avail_in = (uInt)bytes;
	do {
		gzip->stream.next_out = buffer;
		gzip->stream.avail_out = sizeof(buffer);
		/* It cannot fail: there is always room. */
		(void)deflate(&gzip->stream, flush);
		filled = sizeof(buffer) - gzip->stream.avail_out;
		if (fwrite_unlocked(buffer, 1, filled, gzip->to) != filled)
			return false;
	} while (!gzip->stream.avail_out);
	return true;
}

static ssize_t
write_cb(void *cookie, const char *data, size_t bytes)
{
	struct gzip *gzip = cookie;
	bool good = true;

	if (!*gzip->packed) {
		if (bytes <= sizeof(gzip->held) - gzip->held_bytes) {
			memcpy(gzip->held + gzip->held_bytes, data, bytes);
			gzip->held_bytes += bytes;
			return (ssize_t)bytes;
		}
		*gzip->packed = true;
		good = pack(gzip, gzip->held, gzip->held_bytes, Z_NO_FLUSH);
	}
	if (good && pack(gzip, data, bytes, Z_NO_FLUSH))
		return (ssize_t)bytes;
	errno = ENOMEM;
	return 0;
}

static int
close_cb(void *cookie)
{
	struct gzip *gzip = cookie;
	bool good;

	if (*gzip->packed)
		good = pack(gzip, NULL, 0, Z_FINISH);
	else
		good = fwrite_unlocked(gzip->held, 1, gzip->held_bytes, gzip->to) ==
		       gzip->held_bytes;
	good &= !fclose(gzip->to);
	deflateEnd(&gzip->stream);
	free(gzip);
	return good ? 0 : -1;
}

FILE *
gzip_open(FILE *to, bool *ret_packed)
{
	struct gzip *gzip = calloc(1, sizeof(*gzip));
	FILE *out;

	if (!gzip)
		return NULL;
	gzip->to = to;
	gzip->packed = ret_packed;
	*ret_packed = false;
	if (deflateInit2(&gzip->stream, LEVEL, Z_DEFLATED, MAX_WBITS + GZIP_FORMAT, 8,
		    Z_DEFAULT_STRATEGY) != Z_OK) {
		free(gzip);
		return NULL;
	}
	out = fopencookie(
		gzip, "w", (cookie_io_functions_t){.write = write_cb, .close = close_cb});
	if (!out) {
		deflateEnd(&gzip->stream);
		free(gzip);
		return NULL;
	}
	(void)setvbuf(out, NULL, _IOFBF, BUFFER_BYTES);
	return out;
}
