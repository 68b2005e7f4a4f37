/* SPDX-License-Identifier: MIT */
/* Durations as Prometheus writes them: 100ms, 1m30s, 1h. Pure. */
#ifndef LOOPLAG_DAEMON_DURATION_H
#define LOOPLAG_DAEMON_DURATION_H

#include <stdint.h>

#define DURATION_BYTES 64 /* of a text, with the final 0 */

/* Whole numbers with the units y (365 days), w, d, h, m, s and ms, larger ones first, each
 * once at most; or 0. Returns 0, -EINVAL, or -ERANGE if it is longer than a number can
 * hold. */
__attribute__((warn_unused_result)) int
duration_parse(const char *text, uint64_t *ret_ns);

/* The same in the other direction, rounded to whole milliseconds. */
void
duration_format(uint64_t ns, char ret_text[DURATION_BYTES]);

#endif
