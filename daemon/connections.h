/* SPDX-License-Identifier: MIT */
/*
 * Keeps the number of HTTP connections down. evhttp does not count them and does not tell
 * when one is closed; the kernel knows both their number and how long each was silent.
 */
#ifndef LOOPLAG_DAEMON_CONNECTIONS_H
#define LOOPLAG_DAEMON_CONNECTIONS_H

/*
 * If this process has more than `limit` accepted TCP connections, shut down those that
 * have been silent longest until `keep` are left: their owner sees the end of the stream
 * and closes them. Who holds connections open, or drips bytes into them, therefore gives
 * way to whoever sends a request. Returns how many are left.
 */
unsigned
connections_shed(unsigned limit, unsigned keep);

#endif
