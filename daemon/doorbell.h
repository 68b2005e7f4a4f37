/* SPDX-License-Identifier: MIT */
/*
 * The doorbell beside the socket (segment.h): a page that targets map at their start, and
 * keep through all the daemons that come after. So the file is made once and its inode
 * stays.
 */
#ifndef LOOPLAG_DAEMON_DOORBELL_H
#define LOOPLAG_DAEMON_DOORBELL_H

struct doorbell;

/* Open the doorbell at that path, or make it. Returns 0 or -errno: -EPERM when somebody
 * else's file is there, -EINVAL when it is no plain file. */
__attribute__((warn_unused_result)) int
doorbell_open(const char *path, struct doorbell **ret_doorbell);

/* The file stays. */
void
doorbell_close(struct doorbell *doorbell);

/* Tell the targets of earlier daemons to register again. */
void
doorbell_ring_daemon(struct doorbell *doorbell);

#endif
