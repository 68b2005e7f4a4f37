/* SPDX-License-Identifier: MIT */
/* Tells the service manager how we are. Does nothing where there is none. */
#ifndef LOOPLAG_DAEMON_NOTIFY_H
#define LOOPLAG_DAEMON_NOTIFY_H

#include <stdint.h>

/* We serve. `status` is shown by systemctl status. */
void
notify_ready(const char *status);

/* The same while we serve. */
void
notify_status(const char *status);

/* How often it wants to hear notify_alive(), at least; 0: never. */
uint64_t
notify_watchdog_ns(void);
void
notify_alive(void);

/* We read our configuration anew; tell notify_ready() when that is done. */
void
notify_reloading(void);

/* We are about to end. */
void
notify_stopping(void);

#endif
