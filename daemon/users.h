/* SPDX-License-Identifier: MIT */
/* Names of users, as /etc/passwd has them: nobody else is asked, who could be slow. */
#ifndef LOOPLAG_DAEMON_USERS_H
#define LOOPLAG_DAEMON_USERS_H

#include <sys/types.h>

#define USERS_NAME_BYTES 64

/* The user's name, or its number. */
void
users_name(uid_t uid, char ret_name[USERS_NAME_BYTES]);

#endif
