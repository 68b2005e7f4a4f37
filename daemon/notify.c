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
notify_status(const char *status)
{
	(void)sd_notifyf(0, "STATUS=%s", status);
}

uint64_t
notify_watchdog_ns(void)
{
	uint64_t us;

	return sd_watchdog_enabled(0, &us) > 0 ? us * 1000 : 0;
}

void
notify_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
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
notify_status(const char *status)
{
}

uint64_t
notify_watchdog_ns(void)
{
	return 0;
}

void
notify_alive(void)
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
