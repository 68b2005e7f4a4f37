/* SPDX-License-Identifier: MIT */
/* Tells the service manager how we are. */

#include "config.h"

#include "daemon/notify.h"

#ifdef HAVE_SYSTEMD

#include <time.h>

#include <systemd/sd-daemon.h>

void
notify_ready(const char *status)
{
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void
notify_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reloading",
		(unsigned long long)now.tv_sec * 1000000 +
			(unsigned long long)now.tv_nsec / 1000);
}

void
notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

#else

void
notify_ready(const char *status)
{
}

void
notify_reloading(void)
{
}

void
notify_stopping(void)
{
}

#endif
