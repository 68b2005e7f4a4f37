/* SPDX-License-Identifier: MIT */
/* Threads that do what may take long, and end by themselves. */
#ifndef LOOPLAG_DAEMON_THREAD_H
#define LOOPLAG_DAEMON_THREAD_H

/* Start one with a small stack; signals are the event loop's. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
thread_start(void *(*work)(void *));

#endif
