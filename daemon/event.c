/* SPDX-License-Identifier: MIT */
/* The event loop: libevent behind four kinds of watches. */

#include "config.h"

#include "daemon/event.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <event2/event.h>

#include "daemon/log.h"

#define NS_PER_SECOND 1000000000ull

struct event_loop {
	struct event_base *base;
};

struct event_watch {
	struct event *event;
	event_fn fn;
	void *arg;
};

/* What libevent has to say, strangers may have caused. */
static void
libevent_log_cb(int severity, const char *message)
{
	static struct log_limit limit;

	switch (severity) {
	case EVENT_LOG_DEBUG:
		log_debug("libevent", "%s", message);
		break;
	case EVENT_LOG_MSG:
		log_info("libevent", "%s", message);
		break;
	case EVENT_LOG_WARN:
		log_warn_limited(&limit, event_now_ns(), "libevent", "%s", message);
		break;
	default:
		log_error("libevent", "%s", message);
		break;
	}
}

struct event_loop *
event_loop_new(void)
{
	struct event_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	event_set_log_callback(libevent_log_cb);
	loop->base = event_base_new();
	if (!loop->base) {
		free(loop);
		return NULL;
	}
	return loop;
}

void
event_loop_free(struct event_loop *loop)
{
	if (!loop)
		return;
	event_base_free(loop->base);
	free(loop);
}

int
event_loop_run(struct event_loop *loop)
{
	errno = 0;
	if (event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY) < 0)
		return errno ? -errno : -EIO;
	return 0;
}

void
event_loop_stop(struct event_loop *loop)
{
	event_base_loopbreak(loop->base);
}

struct event_base *
event_loop_base(struct event_loop *loop)
{
	return loop->base;
}

static void
watch_cb(evutil_socket_t fd, short what, void *arg)
{
	struct event_watch *watch = arg;

	/* May free the watch. */
	watch->fn(watch->arg);
}

static struct timeval
rounded_up(uint64_t ns)
{
	uint64_t us = ns / 1000 + (ns % 1000 != 0);

	return (struct timeval){
		.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)};
}

/* Make a watch and start it; without a timeout if ns is NULL. */
static struct event_watch *
watch_new(struct event_loop *loop, int fd, short what, const uint64_t *ns, event_fn fn,
	void *arg)
{
	struct event_watch *watch = calloc(1, sizeof(*watch));
	struct timeval timeout;

	if (!watch)
		return NULL;
	watch->fn = fn;
	watch->arg = arg;
	watch->event = event_new(loop->base, fd, what, watch_cb, watch);
	if (!watch->event)
		goto fail;
	if (ns)
		timeout = rounded_up(*ns);
	if (event_add(watch->event, ns ? &timeout : NULL))
		goto fail;
	return watch;
fail:
	event_watch_free(watch);
	return NULL;
}

struct event_watch *
event_readable(struct event_loop *loop, int fd, event_fn fn, void *arg)
{
	return watch_new(loop, fd, EV_READ | EV_PERSIST, NULL, fn, arg);
}

struct event_watch *
event_every(struct event_loop *loop, uint64_t period_ns, event_fn fn, void *arg)
{
	return watch_new(loop, -1, EV_PERSIST, &period_ns, fn, arg);
}

struct event_watch *
event_after(struct event_loop *loop, uint64_t delay_ns, event_fn fn, void *arg)
{
	return watch_new(loop, -1, 0, &delay_ns, fn, arg);
}

struct event_watch *
event_signal(struct event_loop *loop, int signal_number, event_fn fn, void *arg)
{
	return watch_new(loop, signal_number, EV_SIGNAL | EV_PERSIST, NULL, fn, arg);
}

void
event_watch_free(struct event_watch *watch)
{
	if (!watch)
		return;
	if (watch->event)
		event_free(watch->event);
	free(watch);
}

uint64_t
event_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t
event_unix_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}
