/* SPDX-License-Identifier: MIT */
/* What a client accepts, by the headers Accept and Accept-Encoding (RFC 9110). Pure. */
#ifndef LOOPLAG_DAEMON_ACCEPT_H
#define LOOPLAG_DAEMON_ACCEPT_H

#include <stdbool.h>

/* How metrics are written. */
enum accept_format { ACCEPT_TEXT, ACCEPT_OPENMETRICS, ACCEPT_PROTOBUF };

/* The format that is wanted most, of several that which is named first. Without a header,
 * and where none of ours is accepted, it is the text format: somebody may read it. */
enum accept_format
accept_choose(const char *accept);

/* Whether gzip is accepted, and not less than no encoding at all. */
bool
accept_gzip(const char *accept_encoding);

#endif
