/* SPDX-License-Identifier: MIT */
/* Two timers: one for the figures, one for the watchdog; see status.h. */

#include "config.h"

#include "daemon/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/event.h"
#include "daemon/notify.h"

#define PERIOD_NS 5000000000ull

struct status {
	struct status_figures (*figures)(void *arg);
	void *arg;
	struct event_watch *period, *watchdog;
	bool ready;
	char words[STATUS_BYTES]; /* as they were told */
};

void
status_words(const struct status_figures *figures, char ret_words[STATUS_BYTES])
{
	snprintf(ret_words, STATUS_BYTES, "%zu group%s, %zu loop%s, %zu stalled",
		figures->groups, figures->groups == 1 ? "" : "s", figures->loops,
		figures->loops == 1 ? "" : "s", figures->stalled);
}

/* Find words for what is now. Returns whether they are others than before. */
static bool
look(struct status *status)
{
	struct status_figures figures = status->figures(status->arg);
	char words[STATUS_BYTES];

	status_words(&figures, words);
	if (strcmp(words, status->words) == 0)
		return false;
	strcpy(status->words, words);
	return true;
}

static void
on_period(void *arg)
{
	struct status *status = arg;

	if (status->ready && look(status))
		notify_status(status->words);
}

static void
on_watchdog(void *arg)
{
	notify_alive();
}

struct status *
status_new(
	struct event_loop *loop, struct status_figures (*figures)(void *arg), void *arg)
{
	struct status *status = calloc(1, sizeof(*status));
	uint64_t watchdog_ns = notify_watchdog_ns();

	if (!status)
		return NULL;
	status->figures = figures;
	status->arg = arg;
	status->period = event_every(loop, PERIOD_NS, on_period, status);
	if (watchdog_ns)
		status->watchdog =
			event_every(loop, watchdog_ns / 2, on_watchdog, status);
	if (!status->period || (watchdog_ns && !status->watchdog)) {
		status_free(status);
		return NULL;
	}
	return status;
}

void
status_free(struct status *status)
{
	if (!status)
		return;
	event_watch_free(status->watchdog);
	event_watch_free(status->period);
	free(status);
}

void
status_ready(struct status *status)
{
	status->ready = true;
	(void)look(status);
	notify_ready(status->words);
}
