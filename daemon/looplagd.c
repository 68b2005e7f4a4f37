/* SPDX-License-Identifier: MIT */
/*
 * The daemon as a whole: starts the modules in order, runs, and stops them in mirror
 * order. What cannot be started is told here, once, with a way to mend it.
 */

#include "config.h"

#include "daemon/looplagd.h"

#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/alerting.h"
#include "daemon/collector.h"
#include "daemon/config_check.h"
#include "daemon/configuration.h"
#include "daemon/event.h"
#include "daemon/groups.h"
#include "daemon/heap.h"
#include "daemon/historian.h"
#include "daemon/past.h"
#include "daemon/http.h"
#include "daemon/identity.h"
#include "daemon/journal.h"
#include "daemon/ledger.h"
#include "daemon/log.h"
#include "daemon/notify.h"
#include "daemon/options.h"
#include "daemon/pages.h"
#include "daemon/reload.h"
#include "daemon/sockets.h"
#include "daemon/stall_log.h"
#include "daemon/stalls.h"
#include "daemon/status.h"
#include "daemon/web_access.h"
#include "daemon/web_files.h"
#include "probes/probe.h"

#define OWN_GROUPNAME "looplagd"

_Static_assert(OPTIONS_ADDRESSES <= SOCKETS_HTTP && SOCKETS_HTTP <= HTTP_SOCKETS,
	"room for every address");

struct looplagd {
	const struct options *options;
	struct event_loop *loop;
	struct event_watch *terminate;
	struct event_watch *interrupt;
	struct event_watch *hangup;
	struct event_watch *heap;
	struct reload *reload;
	struct sockets sockets;
	struct ledger *ledger;
	struct past *history;
	struct collector *collector;
	struct historian *historian;
	struct alerting *alerting;
	struct stall_log *stall_log;
	struct pages *pages;
	struct web_files *files;
	struct web_access *access;
	struct http *http;
	struct status *status;
	bool stopping;
};

static void
stop_now(void *arg)
{
	event_loop_stop(arg);
}

/* End when all is answered that was asked for before; at once if that takes too long for
 * somebody. */
static void
stop(void *arg)
{
	struct looplagd *daemon = arg;

	if (daemon->stopping || !daemon->http) {
		stop_now(daemon->loop);
		return;
	}
	daemon->stopping = true;
	http_drain(daemon->http, stop_now, daemon->loop);
}

/* Nobody lives in a group any more. */
static void
forget_group(void *arg, const struct group_view *group)
{
	struct looplagd *daemon = arg;

	log_debug("groups", "forgetting group %s: its processes are gone",
		group->groupname);
	historian_forget_group(daemon->historian, group);
	alerting_forget_group(daemon->alerting, group);
	stall_log_forget_group(daemon->stall_log, group->groupname);
}

/* Have all modules go by a configuration. */
static void
use_configuration(void *arg, const struct configuration *config)
{
	struct looplagd *daemon = arg;

	collector_set_rules(daemon->collector, config->rules, config->rule_count);
	collector_configure(daemon->collector, config);
	alerting_configure(daemon->alerting, config);
}

/* Returns whether all files are good. */
static bool
load_all(void *arg)
{
	struct looplagd *daemon = arg;
	int r;

	notify_reloading();
	r = reload_again(daemon->reload, use_configuration, daemon);
	web_access_look(daemon->access);
	status_ready(daemon->status);
	return r == 0 && web_access_good(daemon->access);
}

static void
load_again(void *arg)
{
	load_all(arg);
}

static int
load_configuration(struct looplagd *daemon)
{
	const struct options *options = daemon->options;

	daemon->reload = reload_open(options->config_file, options->config_file_given);
	return daemon->reload ? 0 : -1;
}

/* Make the loop, and have signals end it. */
static int
start_loop(struct looplagd *daemon)
{
	signal(SIGPIPE, SIG_IGN);
	/* Until there is something to load anew. */
	signal(SIGHUP, SIG_IGN);
	daemon->loop = event_loop_new();
	if (daemon->loop) {
		daemon->terminate = event_signal(daemon->loop, SIGTERM, stop, daemon);
		daemon->interrupt = event_signal(daemon->loop, SIGINT, stop, daemon);
		daemon->heap = heap_tend(daemon->loop);
	}
	if (!daemon->terminate || !daemon->interrupt || !daemon->heap) {
		log_error("loop", "cannot make an event loop: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static void
stop_loop(struct looplagd *daemon)
{
	event_watch_free(daemon->heap);
	event_watch_free(daemon->hangup);
	event_watch_free(daemon->interrupt);
	event_watch_free(daemon->terminate);
	event_loop_free(daemon->loop);
	reload_close(daemon->reload);
}

static int
start_access(struct looplagd *daemon)
{
	daemon->access = web_access_open(daemon->loop, daemon->options->web_config_file);
	return daemon->access ? 0 : -1;
}

static void
stop_access(struct looplagd *daemon)
{
	web_access_close(daemon->access);
}

/* Without a /proc of our own pid namespace the numbers in it are other processes'. */
static int
check_proc(void)
{
	int error = identity_check_proc();

	if (error == -EXDEV)
		log_error("looplagd",
			"/proc is that of another pid namespace; mount one of this "
			"namespace there, or run looplagd with the pids of the host");
	else if (error)
		log_warn("looplagd",
			"cannot read /proc: %s; processes name their groups themselves, "
			"and causes of stalls are unknown; mount it",
			strerror(-error));
	return error == -EXDEV ? -1 : 0;
}

/* Write what has fields to the journal, if messages go there anyway. */
static void
start_journal(void)
{
	struct stat st;
	int error = 0;

	if (!fstat(STDERR_FILENO, &st) &&
		journal_is_stream(getenv("JOURNAL_STREAM"), &st))
		error = journal_open(JOURNAL_SOCKET);
	if (error)
		log_warn("journal", "cannot write to %s: %s; writing lines instead",
			JOURNAL_SOCKET, strerror(-error));
}

/* Each target costs descriptors; take as many as there may be. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int
inherit_sockets(struct looplagd *daemon)
{
	char name[SOCKETS_NAME_BYTES];
	bool any_http = daemon->options->systemd_socket;
	int error = sockets_inherit(&daemon->sockets, any_http, name);

	if (!error)
		return 0;
	if (error == -EPROTOTYPE)
		log_error("sockets",
			"cannot use the socket \"%s\" that systemd passed on; give it "
			"FileDescriptorName=probe and one ListenSequentialPacket=, or "
			"FileDescriptorName=http and ListenStream= with a port",
			name);
	else
		log_error("sockets", "cannot take sockets from systemd: %s",
			strerror(-error));
	return -1;
}

static void
explain_probe_socket(const char *path, int error)
{
	char directory[SOCKETS_PATH_BYTES];

	strcpy(directory, path);
	switch (error) {
	case -EADDRINUSE:
		log_error("sockets",
			"cannot listen on %s: another looplagd does; stop it, or choose "
			"another path with --probe.socket",
			path);
		break;
	case -EEXIST:
		log_error("sockets",
			"cannot listen on %s: a file that is no socket is in the way; "
			"remove "
			"it, or choose another path with --probe.socket",
			path);
		break;
	case -ENOENT:
		log_error("sockets",
			"cannot listen on %s: there is no directory %s; make it, or "
			"choose "
			"another path with --probe.socket",
			path, dirname(directory));
		break;
	default:
		log_error("sockets",
			"cannot listen on %s: %s; let this user write to %s, or choose "
			"another path with --probe.socket",
			path, strerror(-error), dirname(directory));
		break;
	}
}

/* Listen for probes, unless systemd has passed that socket on. */
static int
listen_probe(struct looplagd *daemon)
{
	const char *path = daemon->options->probe_socket;
	int error;

	if (daemon->sockets.probe.fd >= 0)
		return 0;
	error = sockets_listen_probe(path, &daemon->sockets.probe);
	if (error)
		explain_probe_socket(path, error);
	return error;
}

static void
explain_http_address(const char *address, int error)
{
	const char *remedy = "choose another with --web.listen-address";

	if (error == -EADDRINUSE)
		remedy = "stop the program that listens there, or choose another address "
			 "with --web.listen-address";
	else if (error == -ENXIO)
		remedy = "no such host; mend --web.listen-address";
	log_error(
		"http", "cannot listen on %s: %s; %s", address, strerror(-error), remedy);
}

/* Listen on the addresses of the command line, unless systemd has passed sockets on. */
static int
listen_http(struct looplagd *daemon)
{
	const struct options *options = daemon->options;
	struct sockets *sockets = &daemon->sockets;

	if (sockets->http_count)
		return 0;
	if (options->systemd_socket) {
		log_error("http", "systemd has passed on no socket to serve HTTP on; "
				  "start looplagd by a socket unit with ListenStream=, "
				  "or leave out --web.systemd-socket");
		return -ENOTSOCK;
	}
	for (size_t i = 0; i < options->listen_count; i++) {
		const char *address = options->listen_addresses[i];
		int error = sockets_listen_http(address, &sockets->http[i]);

		if (error) {
			explain_http_address(address, error);
			return error;
		}
		sockets->http_count++;
	}
	return 0;
}

/* Have all sockets before anything else is touched: a second looplagd ends here. */
static int
start_sockets(struct looplagd *daemon)
{
	return inherit_sockets(daemon) || listen_probe(daemon) || listen_http(daemon);
}

static void
stop_sockets(struct looplagd *daemon)
{
	sockets_close(&daemon->sockets);
}

/* Collect, with the doorbell beside the socket; then be a target like any other. */
static int
start_collector(struct looplagd *daemon)
{
	char directory[SOCKETS_PATH_BYTES], doorbell[SOCKETS_PATH_BYTES + 16];
	struct collector_options options = {
		.socket = daemon->sockets.probe.fd,
		.doorbell_path = doorbell,
		.own_groupname = OWN_GROUPNAME,
		.processes = daemon->options->processes,
		.kept = &daemon->sockets.kept,
		.socket_kept = !daemon->sockets.probe.made,
	};
	int error;

	strcpy(directory, daemon->sockets.probe.path);
	snprintf(doorbell, sizeof(doorbell), "%s/doorbell", dirname(directory));
	raise_descriptor_limit();
	if (daemon->options->state_directory)
		daemon->ledger = ledger_open(daemon->options->state_directory);
	options.ledger = daemon->ledger;
	daemon->history = past_new();
	options.history = daemon->history;
	error = collector_open(daemon->loop, &options, &daemon->collector);
	if (error) {
		log_error("collector",
			"cannot collect with the doorbell %s: %s; let this user write "
			"there, or choose another directory with --probe.socket",
			doorbell, strerror(-error));
		return error;
	}
	fd_store_fini(&daemon->sockets.kept);
	daemon->alerting = alerting_open(daemon->loop,
		collector_groups(daemon->collector), collector_stalls(daemon->collector));
	if (!daemon->alerting) {
		log_error("alert", "cannot watch: out of memory");
		return -1;
	}
	if (daemon->history)
		daemon->historian = historian_open(
			daemon->loop, daemon->collector, daemon->history, daemon->ledger);
	if (!daemon->historian) {
		log_error("history", "cannot keep the last minutes: out of memory");
		return -1;
	}
	collector_on_forget(daemon->collector, forget_group, daemon);
	use_configuration(daemon, reload_configuration(daemon->reload));
	daemon->stall_log =
		stall_log_new(daemon->loop, collector_stalls(daemon->collector));
	if (!daemon->stall_log)
		log_warn("stalls", "cannot write of stalls: out of memory; going on "
				   "without");
	if (probe_start(daemon->sockets.probe.path))
		log_warn("probe", "cannot measure looplagd's own loop, going on without");
	return 0;
}

static void
stop_collector(struct looplagd *daemon)
{
	stall_log_free(daemon->stall_log);
	historian_close(daemon->historian);
	alerting_close(daemon->alerting);
	collector_close(daemon->collector);
	past_free(daemon->history);
	ledger_close(daemon->ledger);
}

/* Hand the sockets to the server. */
static int
accept_http(struct looplagd *daemon)
{
	for (size_t i = 0; i < daemon->sockets.http_count; i++) {
		int error = http_accept(daemon->http, daemon->sockets.http[i]);

		if (error) {
			log_error("http", "cannot serve: %s", strerror(-error));
			return error;
		}
	}
	return 0;
}

static int
start_http(struct looplagd *daemon)
{
	struct http_options options = {.max_requests = daemon->options->max_requests};
	int error;

	daemon->pages = pages_new(daemon->collector, daemon->reload, daemon->alerting,
		daemon->history, daemon->options->telemetry_path);
	daemon->files = web_files_new(daemon->options->telemetry_path);
	if (!daemon->pages || !daemon->files) {
		log_error("http", "cannot serve: out of memory");
		return -1;
	}
	if (daemon->options->prom_client)
		pages_add_prom_client(daemon->pages);
	options.routes = pages_routes(daemon->pages, &options.count);
	options.arg = daemon->pages;
	options.files = daemon->files;
	options.access = daemon->access;
	error = http_open(daemon->loop, &options, &daemon->http);
	if (error) {
		log_error("http", "cannot serve: %s", strerror(-error));
		return error;
	}
	pages_set_http(daemon->pages, daemon->http);
	if (daemon->options->lifecycle)
		pages_set_reload(daemon->pages, load_all, daemon);
	return accept_http(daemon);
}

static void
stop_http(struct looplagd *daemon)
{
	http_close(daemon->http);
	web_files_free(daemon->files);
	pages_free(daemon->pages);
}

static struct status_figures
find_figures(void *arg)
{
	struct looplagd *daemon = arg;
	const struct stalls *stalls = collector_stalls(daemon->collector);
	struct status_figures figures = {
		.groups = groups_count(collector_groups(daemon->collector)),
		.loops = collector_count_loops(daemon->collector),
	};

	for (size_t i = 0; i < stalls_count(stalls); i++)
		figures.stalled += stalls_at(stalls, i)->open;
	return figures;
}

/* The service manager is told how we are; nobody is without that. */
static int
start_status(struct looplagd *daemon)
{
	daemon->status = status_new(daemon->loop, find_figures, daemon);
	if (daemon->status)
		return 0;
	log_error("status", "cannot tell the service manager: out of memory");
	return -1;
}

static void
stop_status(struct looplagd *daemon)
{
	status_free(daemon->status);
}

static int
serve(struct looplagd *daemon)
{
	int error;

	daemon->hangup = event_signal(daemon->loop, SIGHUP, load_again, daemon);
	if (!daemon->hangup) {
		log_error("loop", "cannot wait for signals: %s", strerror(errno));
		return -1;
	}
	pages_set_ready(daemon->pages);
	for (size_t i = 0; i < daemon->sockets.http_count; i++) {
		char where[SOCKETS_ADDRESS_BYTES];

		sockets_describe(daemon->sockets.http[i], where);
		log_info("http", "serving %s://%s%s",
			web_access_has_tls(daemon->access) ? "https" : "http", where,
			daemon->options->telemetry_path);
	}
	log_info("looplagd", "looplagd %s is ready, probes register on %s",
		PACKAGE_VERSION, daemon->sockets.probe.path);
	status_ready(daemon->status);
	error = event_loop_run(daemon->loop);
	notify_stopping();
	if (error)
		log_error("loop", "the event loop failed: %s", strerror(-error));
	else
		log_info("looplagd", "ending on request");
	return error;
}

int
looplagd_check(const struct options *options)
{
	bool good = true;

	/* Who has the other file checked need not have this one. */
	if (!options->web_config_file || options->config_file_given ||
		!access(options->config_file, F_OK))
		good = config_check(options->config_file, stdout, stderr);
	if (options->web_config_file)
		good &= config_check_web(options->web_config_file, stdout, stderr);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
looplagd_run(const struct options *options)
{
	struct looplagd daemon = {.options = options, .sockets.probe.fd = -1};
	int status = EXIT_FAILURE;

	start_journal();
	if (!check_proc() && !load_configuration(&daemon) && !start_loop(&daemon) &&
		!start_access(&daemon) && !start_sockets(&daemon) &&
		!start_collector(&daemon) && !start_http(&daemon) &&
		!start_status(&daemon) && !serve(&daemon))
		status = EXIT_SUCCESS;
	stop_status(&daemon);
	stop_http(&daemon);
	stop_collector(&daemon);
	stop_sockets(&daemon);
	stop_access(&daemon);
	stop_loop(&daemon);
	journal_close();
	return status;
}
