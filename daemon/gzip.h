/* SPDX-License-Identifier: MIT */
/* Compresses the body of an answer, in steps: a page of megabytes takes its time. */
#ifndef LOOPLAG_DAEMON_GZIP_H
#define LOOPLAG_DAEMON_GZIP_H

#include <stdio.h>

/* What is shorter fits into a packet or two as it is. */
#define GZIP_WORTH_BYTES 2048

struct body;
struct gzip;

/* Begin with a body that is whole, borrowed. NULL without memory. */
struct gzip *
gzip_new(const struct body *from);
void
gzip_free(struct gzip *gzip);

/* Write some more, for less than a millisecond or so. Returns 1 while there is more, 0 when
 * all is written. */
int
gzip_step(struct gzip *gzip, FILE *out);

#endif
