/* SPDX-License-Identifier: MIT */
/*
 * Patterns of the configuration: POSIX extended regular expressions that must match the
 * whole text, as Prometheus anchors its own.
 */
#ifndef LOOPLAG_DAEMON_PATTERN_H
#define LOOPLAG_DAEMON_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#define PATTERN_CAPTURES 10 /* with 0, the whole text */
#define PATTERN_BYTES_MAX 1024
#define PATTERN_REPEATS_MAX 1000

struct pattern;

/* Part of a text: from start up to end; -1: that capture took no part. */
struct pattern_capture {
	int start, end;
};

/* Returns NULL with the pattern, or what is wrong: a text that is constant or stands in
 * `words`. */
const char *
pattern_new(const char *text, char words[256], struct pattern **ret_pattern);
void
pattern_free(struct pattern *pattern);

/* How many captures it has, without the whole. */
size_t
pattern_captures(const struct pattern *pattern);

/* Whether it matches the whole text. `ret_captures` may be NULL. */
bool
pattern_match(const struct pattern *pattern, const char *text,
	struct pattern_capture ret_captures[PATTERN_CAPTURES]);

#endif
