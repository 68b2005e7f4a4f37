/* SPDX-License-Identifier: MIT */
/*
 * The reception: accepts connections on the probe socket and waits, for two seconds at
 * most, for their one message. Whoever says nothing does no harm: the longest silent have
 * to go when one user, or all together, have too many, and a connection that has something
 * to say is heard at once. Who connects too often is sent away unheard.
 */
#ifndef LOOPLAG_DAEMON_RECEPTION_H
#define LOOPLAG_DAEMON_RECEPTION_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/collector.h"
#include "probes/segment.h"

#define RECEPTION_WAIT_NS 2000000000ull
/* Connections of one user: more than anybody makes between a good one and its message. */
#define RECEPTION_WAITING_MAX 128
#define RECEPTION_WAITING_ALL 256 /* of all users together */

/* A target that asks to be let in. */
struct reception_guest {
	struct segment_hello hello;
	int fd;    /* its segment, which has passed the gate */
	int pidfd; /* -1: none was to be had */
	pid_t pid; /* 0: we cannot see it */
	uid_t uid;
	bool gone; /* it was reaped already: the number may be another's */
};

/* Whether the guest's number is surely its own, now as when it was used last. */
bool
reception_is_current(const struct reception_guest *guest);

struct reception_calls {
	/* The descriptors are the callee's from now on. A user of -1 is unknown. */
	void (*admit)(void *arg, const struct reception_guest *guest);
	void (*refuse)(void *arg, enum collector_reason reason, uid_t uid);
	/* So many connections are out of the socket, where they would outlive us, and what
	 * they have to say is not admitted or refused yet. Those that are silent are none. */
	void (*set_in_hand)(void *arg, unsigned connections);
	void *arg;
};

struct reception;
struct event_loop;
struct quota;

/* `socket` and `quota` are borrowed. Returns 0 or -errno. */
__attribute__((warn_unused_result)) int
reception_open(struct event_loop *loop, int socket, struct quota *quota,
	const struct reception_calls *calls, struct reception **ret_reception);
void
reception_close(struct reception *reception);

#endif
