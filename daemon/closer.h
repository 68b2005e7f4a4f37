/* SPDX-License-Identifier: MIT */
/* Closing what came from strangers: it may block for as long as they like. */
#ifndef LOOPLAG_DAEMON_CLOSER_H
#define LOOPLAG_DAEMON_CLOSER_H

#include <sys/types.h>

/* So many of one user's descriptors may take their time, before more are taken. */
#define CLOSER_WAITING_MAX 256

/* Close a stranger's descriptor, or a connection to one, without waiting for it: in
 * another thread unless it lies in memory. */
void
closer_close(int fd, uid_t uid);

/* How many descriptors of the user are not closed yet. */
unsigned
closer_waiting(uid_t uid);

#endif
