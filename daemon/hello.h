/* SPDX-License-Identifier: MIT */
/* The one message of a target: taken from its connection, with the descriptor in it. */
#ifndef LOOPLAG_DAEMON_HELLO_H
#define LOOPLAG_DAEMON_HELLO_H

#include "daemon/collector.h"
#include "probes/segment.h"

/*
 * Receive the hello. Returns 0 with the message and a descriptor that has passed the gate
 * and is the caller's; -EAGAIN when nothing has come yet; -EINVAL with the reason for
 * anything else, when all that came has been closed.
 */
__attribute__((warn_unused_result)) int
hello_receive(int connection, struct segment_hello *ret_hello, int *ret_fd,
	enum collector_reason *ret_reason);

/* Whether a segment's header agrees with its hello and with itself. Returns 0, or -EINVAL
 * with the reason. Pure. */
__attribute__((warn_unused_result)) int
hello_check_header(const struct segment_hello *hello, const struct segment_header *header,
	enum collector_reason *ret_reason);

/* The hello that a header must have come with. */
struct segment_hello
hello_of_header(const struct segment_header *header);

#endif
