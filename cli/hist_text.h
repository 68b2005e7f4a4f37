/* SPDX-License-Identifier: MIT */
/* How the delay of a loop was spread, as the tools of BCC print it. Pure. */
#ifndef LOOPLAG_CLI_HIST_TEXT_H
#define LOOPLAG_CLI_HIST_TEXT_H

#include <stdio.h>

#include "cli/histograms.h"

struct style;

/* Print a line for each row up to the longest delay that there was. */
void
hist_text_print(const struct histograms *histograms, const struct histograms_loop *loop,
	const struct style *style, FILE *out);

#endif
