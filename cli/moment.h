/* SPDX-License-Identifier: MIT */
/* Moments as people write them on a command line. Pure, but for the local time zone. */
#ifndef LOOPLAG_CLI_MOMENT_H
#define LOOPLAG_CLI_MOMENT_H

#include <stdint.h>

/*
 * One of these, and nothing else:
 *
 *	1h30m                          so long ago, see daemon/duration.h
 *	2026-01-31T10:00:00.5Z         RFC 3339; also with +01:00 for the Z
 *	2026-01-31T10:00[:00[.5]]      in local time; also with a blank for the T
 *	10:00[:00[.5]]                 today, in local time
 *
 * Returns 0, or -EINVAL.
 */
__attribute__((warn_unused_result)) int
moment_parse(const char *text, int64_t now_unix_ns, int64_t *ret_unix_ns);

/* "2026-01-31 10:00:00.500" in local time. Returns ret_text. */
#define MOMENT_BYTES 48
const char *
moment_format(int64_t unix_ns, char ret_text[MOMENT_BYTES]);

#endif
