/* SPDX-License-Identifier: MIT */
/* Standard output as a verb's data: written whole, or told why not. */
#ifndef LOOPLAG_CLI_OUTPUT_H
#define LOOPLAG_CLI_OUTPUT_H

/* Let writing to a reader who has gone be an error, and no signal. */
void
output_begin(void);

/* Write what was printed since the last time, some lines at most: of more it is not known
 * what went wrong. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
output_flush(void);

/* Write a text of any length and a line feed. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
output_line(const char *text);

/* What that has come to, or what went before it without memory, as an exit status: 0, also if
 * nobody reads any more, or 1 when it was said why. */
int
output_status(int error);

#endif
