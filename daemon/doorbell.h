/* SPDX-License-Identifier: MIT */
/*
 * The doorbell beside the socket (segment.h): a page that targets map at their start, and
 * keep through all the daemons that come after. So the file is made once and its inode
 * stays.
 */
#ifndef LOOPLAG_DAEMON_DOORBELL_H
#define LOOPLAG_DAEMON_DOORBELL_H

#include <stdint.h>

struct doorbell;

/* Open the doorbell at that path, or make it. Returns 0 or -errno: -EPERM when somebody
 * else's file is there, -EINVAL when it is no plain file. */
__attribute__((warn_unused_result)) int
doorbell_open(const char *path, struct doorbell **ret_doorbell);

/* The file stays. */
void
doorbell_close(struct doorbell *doorbell);

/* From now on a target whose bell is rung takes stacks of its loops that have been
 * unattended for so long; 0: of none. That is what a new doorbell says. */
void
doorbell_set_stall(struct doorbell *doorbell, uint32_t stall_us);

/* Ask the targets whose segment's id begins with that byte for stacks. */
void
doorbell_ring(struct doorbell *doorbell, uint8_t bell);

/* Tell the targets of earlier daemons to register again. Wakes all of them. */
void
doorbell_ring_daemon(struct doorbell *doorbell);

#endif
