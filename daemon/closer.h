/* SPDX-License-Identifier: MIT */
/* Closing what came from strangers: it may block for as long as they like. */
#ifndef LOOPLAG_DAEMON_CLOSER_H
#define LOOPLAG_DAEMON_CLOSER_H

/* Close a stranger's descriptor, or a connection to one, without waiting for it: in
 * another thread unless it lies in memory. */
void
closer_close(int fd);

#endif
