/* SPDX-License-Identifier: MIT */
/* How the delay of a loop was spread, as bars. Pure. */
#ifndef LOOPLAG_CLI_SPREAD_H
#define LOOPLAG_CLI_SPREAD_H

#include <stdio.h>

struct series_view;
struct style;

/* For each range of delays print a line with the share of time in which an event would
 * have waited so long. The loop must have been late at some time. */
void
spread_print(const struct series_view *view, const struct style *style, FILE *out);

#endif
