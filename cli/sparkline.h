/* SPDX-License-Identifier: MIT */
/* Delays over time as a line of small bars, each a character. Pure. */
#ifndef LOOPLAG_CLI_SPARKLINE_H
#define LOOPLAG_CLI_SPARKLINE_H

#include <stdbool.h>

/* A bar for a delay: the lowest below 1 ms, the highest from 1 s on, and as many steps between
 * as there are characters; a blank for a negative one, which is unknown. Constant. */
const char *
sparkline_cell(double seconds, bool utf8);

#endif
