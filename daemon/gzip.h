/* SPDX-License-Identifier: MIT */
/* Compresses the body of an answer while it is written: what is written in steps is
 * compressed in steps. */
#ifndef LOOPLAG_DAEMON_GZIP_H
#define LOOPLAG_DAEMON_GZIP_H

#include <stdbool.h>
#include <stdio.h>

/* What is shorter fits into a packet or two as it is, and stays so. */
#define GZIP_WORTH_BYTES 2048

/* A stream whose content is compressed into another one, which is closed with it. Whether
 * there was enough to be compressed is in *ret_packed, which is borrowed, when it is closed.
 * NULL without memory, when the other stream stays the caller's. */
FILE *
gzip_open(FILE *to, bool *ret_packed);

#endif
