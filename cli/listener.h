/* SPDX-License-Identifier: MIT */
/* Whether a daemon listens for probes. */
#ifndef LOOPLAG_CLI_LISTENER_H
#define LOOPLAG_CLI_LISTENER_H

/*
 * Whether a daemon listens at `path`: 0, or -errno that says why not. A socket of another
 * type is refused by a living one with EPROTOTYPE, so that the daemon is not disturbed by
 * a connection, and it works across namespaces and links as the probe's own would.
 */
__attribute__((warn_unused_result)) int
listener_look(const char *path);

#endif
