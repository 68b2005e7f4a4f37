/* SPDX-License-Identifier: MIT */
/* Closing descriptors that came from strangers: it may block for as long as they like. */
#ifndef LOOPLAG_DAEMON_CLOSER_H
#define LOOPLAG_DAEMON_CLOSER_H

/* Close a stranger's descriptor, in a thread of its own unless it lies in memory. */
void
closer_close(int fd);

#endif
