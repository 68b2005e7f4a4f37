/* SPDX-License-Identifier: MIT */
/* Tells the service manager how we are. Does nothing where there is none. */
#ifndef LOOPLAG_DAEMON_NOTIFY_H
#define LOOPLAG_DAEMON_NOTIFY_H

/* We serve. `status` is shown by systemctl status. */
void
notify_ready(const char *status);

/* We are about to end. */
void
notify_stopping(void);

#endif
