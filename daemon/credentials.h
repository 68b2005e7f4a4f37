/* SPDX-License-Identifier: MIT */
/*
 * Users and their passwords. To compare one with its bcrypt hash takes tens of
 * milliseconds, so a thread does it, one after the other, for few at a time; the password
 * that was right is kept in memory, and takes no time when it comes again. A user whom
 * nobody knows takes as long as a wrong password.
 */
#ifndef LOOPLAG_DAEMON_CREDENTIALS_H
#define LOOPLAG_DAEMON_CREDENTIALS_H

#include <stdbool.h>
#include <stddef.h>

struct credentials;
struct event_loop;
struct web_config_user;

enum credentials_verdict {
	CREDENTIALS_GOOD,
	CREDENTIALS_BAD,
	CREDENTIALS_LATER, /* it is told when it is known */
	CREDENTIALS_BUSY   /* too many wait for that */
};

typedef void (*credentials_fn)(void *arg, bool good);

/* Nobody is known yet. NULL on failure. */
struct credentials *
credentials_new(struct event_loop *loop);

/* Who waits is not told any more. */
void
credentials_free(struct credentials *credentials);

/* From now on there are these users, copied. Returns 0 or -ENOMEM, and then nothing has
 * changed. */
__attribute__((warn_unused_result)) int
credentials_set(struct credentials *credentials, const struct web_config_user *users,
	size_t count);

/* Whether there is any user. */
bool
credentials_wanted(const struct credentials *credentials);

/* Judge the value of a request's Authorization header, NULL if it has none. For
 * CREDENTIALS_LATER, done(arg, whether they are good) is called once. */
enum credentials_verdict
credentials_check(struct credentials *credentials, const char *authorization,
	credentials_fn done, void *arg);

#endif
