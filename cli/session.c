/* SPDX-License-Identifier: MIT */
/* Socket, event loop, collector and command of one private collection. */

#include "config.h"

#include "cli/session.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/spawn.h"
#include "cli/worst.h"
#include "daemon/collector.h"
#include "daemon/configuration.h"
#include "daemon/event.h"

#define DIRECTORY "/looplag.XXXXXX"
#define SOCKET "/probe.sock"
#define DOORBELL "/doorbell"
#define PATH_BYTES (sizeof((struct sockaddr_un *)0)->sun_path + sizeof DOORBELL)
#define BACKLOG 512
#define CAPTURES_PER_MINUTE 600

/* The last registrations: how often and how long to look whether more are waiting. */
#define DRAIN_NS 5000000u
#define DRAINS_MAX 200
#define DRAINS_QUIET 2
/* The last stacks: how often to look whether they have come. */
#define STACKS_NS 20000000u

struct session {
	char directory[sizeof((struct sockaddr_un *)0)->sun_path - sizeof SOCKET];
	struct sockaddr_un address;
	int socket;
	struct event_loop *loop;
	struct spawn *spawn;
	struct collector *collector;
	uint64_t threshold_ns;
	struct worst *worst;
	struct event_watch *drain;
	unsigned drains, quiet_drains;
	uint64_t end_ns; /* of the command */
};

/* Make the private directory below `parent`. The command may run under another user than
 * we do: others may pass through, and only who was told the name knows it. */
static bool
make_directory(struct session *session, const char *parent)
{
	if (!parent || *parent != '/' ||
		strlen(parent) + sizeof DIRECTORY > sizeof session->directory)
		return false;
	sprintf(session->directory, "%s" DIRECTORY, parent);
	if (!mkdtemp(session->directory)) {
		session->directory[0] = '\0';
		return false;
	}
	return !chmod(session->directory, 0711);
}

/* Listen in a private directory. Returns 0 or -errno. */
static int
listen_privately(struct session *session)
{
	/* The user's own directory is closed to the users that root's commands become. */
	if (!(geteuid() && make_directory(session, getenv("XDG_RUNTIME_DIR"))) &&
		!make_directory(session, getenv("TMPDIR")) &&
		!make_directory(session, "/tmp"))
		return -errno;
	session->socket =
		socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (session->socket < 0)
		return -errno;
	session->address.sun_family = AF_UNIX;
	snprintf(session->address.sun_path, sizeof session->address.sun_path, "%s" SOCKET,
		session->directory);
	if (bind(session->socket, (struct sockaddr *)&session->address,
		    sizeof session->address) ||
		chmod(session->address.sun_path, 0666) ||
		listen(session->socket, BACKLOG))
		return -errno;
	return 0;
}

/* The doorbell lies beside the socket, where the probe looks for it. */
static const char *
doorbell_path(const struct session *session, char ret_path[PATH_BYTES])
{
	snprintf(ret_path, PATH_BYTES, "%s" DOORBELL, session->directory);
	return ret_path;
}

/* Collect, with a doorbell. Returns 0 or -errno. */
static int
start_collector(struct session *session, uint64_t threshold_ns)
{
	struct configuration *configuration = configuration_default();
	char doorbell[PATH_BYTES];
	struct collector_options options = {
		.socket = session->socket,
		.doorbell_path = doorbell_path(session, doorbell),
		/* Even in a service: it is the command's loops that are asked for. */
		.ignore_units = true,
	};
	int r = -ENOMEM;

	if (configuration)
		r = collector_open(session->loop, &options, &session->collector);
	if (!r) {
		if (threshold_ns)
			configuration->threshold_ns = threshold_ns;
		/* Somebody wants to know exactly what this command does. */
		configuration->captures_per_minute = CAPTURES_PER_MINUTE;
		/* What has ended is in the report, too. */
		configuration->keep_groups_ns = UINT64_MAX;
		session->threshold_ns = configuration->threshold_ns;
		collector_configure(session->collector, configuration);
		session->worst = worst_new(collector_stalls(session->collector));
		r = session->worst ? 0 : -ENOMEM;
	}
	configuration_free(configuration);
	return r;
}

int
session_open(uint64_t threshold_ns, struct session **ret_session)
{
	struct session *session = calloc(1, sizeof *session);
	int r;

	if (!session)
		return -ENOMEM;
	session->socket = -1;
	session->loop = event_loop_new();
	/* Before there is anything to be left behind. */
	session->spawn = session->loop ? spawn_new(session->loop) : NULL;
	r = session->spawn ? listen_privately(session) : -ENOMEM;
	if (!r)
		r = start_collector(session, threshold_ns);
	if (r) {
		session_close(session);
		return r;
	}
	*ret_session = session;
	return 0;
}

void
session_shut(struct session *session)
{
	char doorbell[PATH_BYTES];

	if (!session->directory[0])
		return;
	unlink(session->address.sun_path);
	unlink(doorbell_path(session, doorbell));
	rmdir(session->directory);
	session->directory[0] = '\0';
}

void
session_close(struct session *session)
{
	if (!session)
		return;
	session_shut(session);
	event_watch_free(session->drain);
	worst_free(session->worst);
	collector_close(session->collector);
	spawn_free(session->spawn);
	event_loop_free(session->loop);
	if (session->socket >= 0)
		close(session->socket);
	free(session);
}

const char *
session_socket(const struct session *session)
{
	return session->address.sun_path;
}

/* Go on while stacks of the last stalls may still come: V8 gives its part when a native
 * call returns, and symbols are looked up in a thread. */
static void
await_stacks(void *arg)
{
	struct session *session = arg;

	event_watch_free(session->drain);
	session->drain = NULL;
	collector_read(session->collector);
	if (worst_is_waiting(session->worst, event_now_ns()))
		session->drain =
			event_after(session->loop, STACKS_NS, await_stacks, session);
	if (!session->drain)
		event_loop_stop(session->loop);
}

/* Go on while registrations wait: a command may end just after it has sent one. What was
 * accepted at one look is read before the next. */
static void
drain(void *arg)
{
	struct session *session = arg;
	struct pollfd waiting = {.fd = session->socket, .events = POLLIN};

	event_watch_free(session->drain);
	session->drain = NULL;
	session->quiet_drains = poll(&waiting, 1, 0) > 0 ? 0 : session->quiet_drains + 1;
	if (session->quiet_drains < DRAINS_QUIET && session->drains++ < DRAINS_MAX)
		session->drain = event_after(session->loop, DRAIN_NS, drain, session);
	if (!session->drain)
		await_stacks(session);
}

static void
command_ended(void *arg)
{
	struct session *session = arg;

	session->end_ns = event_now_ns();
	drain(session);
}

int
session_run(
	struct session *session, char *const argv[], int *ret_status, double *ret_seconds)
{
	uint64_t start_ns = event_now_ns();
	int r = spawn_start(session->spawn, argv, command_ended, session);

	if (!r)
		r = event_loop_run(session->loop);
	if (r)
		return r;
	collector_read(session->collector);
	worst_finish(session->worst);
	*ret_status = spawn_status(session->spawn);
	*ret_seconds = (double)(session->end_ns - start_ns) / 1e9;
	return 0;
}

struct groups *
session_groups(struct session *session)
{
	return collector_groups(session->collector);
}

uint64_t
session_threshold_ns(const struct session *session)
{
	return session->threshold_ns;
}

const struct worst *
session_worst(const struct session *session)
{
	return session->worst;
}

uint64_t
session_targets(const struct session *session)
{
	return collector_stats(session->collector).targets;
}
