/* SPDX-License-Identifier: MIT */
/* Times in the JSON API, as RFC 3339 writes them; in nanoseconds since the epoch here. */
#ifndef LOOPLAG_DAEMON_API_TIME_H
#define LOOPLAG_DAEMON_API_TIME_H

#include <stdint.h>

/* jansson's. */
struct json_t;

/* "2026-01-01T10:00:00.123Z"; the caller's reference. NULL without memory. */
struct json_t *
api_time_json(int64_t unix_ns);

/* The same, or with +01:00 for the Z. Returns 0 or -EINVAL. */
__attribute__((warn_unused_result)) int
api_time_parse(const char *text, int64_t *ret_unix_ns);

#endif
