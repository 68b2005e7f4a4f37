/* SPDX-License-Identifier: MIT */
/* Compresses the body of an answer. Pure, for any thread: megabytes take milliseconds. */
#ifndef LOOPLAG_DAEMON_GZIP_H
#define LOOPLAG_DAEMON_GZIP_H

/* What is shorter fits into a packet or two as it is. */
#define GZIP_WORTH_BYTES 2048

struct body;

/* The body compressed, the caller's; NULL without memory. */
struct body *
gzip_pack(const struct body *body);

#endif
