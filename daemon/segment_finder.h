/* SPDX-License-Identifier: MIT */
/*
 * Opens the segment of a living process again, through its map of it. The kernel allows
 * that to those who may look into the process and have CAP_CHECKPOINT_RESTORE, as root has.
 */
#ifndef LOOPLAG_DAEMON_SEGMENT_FINDER_H
#define LOOPLAG_DAEMON_SEGMENT_FINDER_H

#include <sys/types.h>

#include "probes/segment.h"

/* The process's segment of that id and registration: a descriptor that has passed the gate,
 * the caller's; -1: there is none to be had. */
int
segment_finder_open(pid_t pid, const struct segment_header *header);

#endif
