/* SPDX-License-Identifier: MIT */
/*
 * The probe as a whole. In liblooplag.so the constructor starts it; looplagd, which is a
 * target of its own, links the same code and calls probe_start().
 */
#ifndef LOOPLAG_PROBES_PROBE_H
#define LOOPLAG_PROBES_PROBE_H

struct settings;

/* Start to record this process's loops and offer its segment to the daemon on that socket.
 * Once in a process, while it has one thread. Returns 0, or -1: the process runs as if
 * there were no probe. Never waits. */
int
probe_start(const char *socket_path);

/* The same with all that the environment may say. Keeps errno. */
int
probe_start_with(const struct settings *settings);

#endif
