/* SPDX-License-Identifier: MIT */
/*
 * looplag run. Where a daemon listens the command is told of its socket and takes this
 * process's place; otherwise a private collector sees the command through and reports.
 */

#include "config.h"

#include "cli/run.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/carry.h"
#include "cli/command.h"
#include "cli/listener.h"
#include "cli/preload.h"
#include "cli/report.h"
#include "cli/report_stalls.h"
#include "cli/run_options.h"
#include "cli/session.h"
#include "cli/spawn.h"
#include "cli/style.h"

/* Warn. If nobody reads it any more, that is no reason not to run the command. */
__attribute__((format(printf, 1, 2))) static void
warning(const char *format, ...)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN}, before;
	va_list arguments;

	sigaction(SIGPIPE, &ignore, &before);
	fputs("looplag: warning: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	putc('\n', stderr);
	sigaction(SIGPIPE, &before, NULL);
}

/* Put what the probe needs into the environment. Returns 0 or -errno. */
static int
prepare_environment(const char *library, const char *socket_path, const char *groupname)
{
	char *preload = preload_append(getenv("LD_PRELOAD"), library);
	int r = 0;

	if (!preload || setenv("LD_PRELOAD", preload, 1) ||
		setenv("LOOPLAG_SOCKET", socket_path, 1) ||
		(groupname && setenv("LOOPLAG_GROUP", groupname, 1)))
		r = -ENOMEM;
	free(preload);
	return r;
}

/* Warn if the command cannot carry the probe. Returns whether it was warned of. */
static bool
warn_of_command(const char *command)
{
	struct carry_user user = carry_this_user();
	const char *disabled = getenv("LOOPLAG_DISABLE");
	struct carry carry;

	if (disabled && !strcmp(disabled, "1")) {
		warning("LOOPLAG_DISABLE=1 is set: the probe stays switched off");
		return true;
	}
	if (carry_check(command, getenv("PATH"), &user, &carry) ||
		carry.verdict == CARRY_YES)
		return false;
	if (carry.script)
		warning("%s is run by %s, which %s: its own event loops will not be seen",
			command, carry.program, carry_reason(carry.verdict));
	else
		warning("%s %s: its own event loops will not be seen", carry.program,
			carry_reason(carry.verdict));
	return true;
}

/* Say why the command could not be run; returns the status that a shell would give. */
static int
not_run(const char *command, int error)
{
	char path[PATH_MAX];

	if (error != ENOENT) {
		fprintf(stderr, "looplag: cannot run %s: %s\n", command, strerror(error));
		return RUN_NOT_RUN;
	}
	if (command_find(command, getenv("PATH"), path))
		fprintf(stderr, "looplag: cannot run %s: command not found\n", command);
	else
		fprintf(stderr, "looplag: cannot run %s: its interpreter is missing\n",
			path);
	return RUN_NOT_FOUND;
}

/* The report for people. Composed first, so that it does not mingle with what else goes
 * to a terminal. */
static void
write_text(const struct groups *groups, const struct worst *worst,
	const struct report_run *run, FILE *out)
{
	struct style style = style_of(out);
	char *text = NULL;
	size_t size;
	FILE *page = open_memstream(&text, &size);

	if (!page)
		return;
	if (out == stderr)
		putc('\n', page);
	report_text(groups, run, &style, page);
	report_stalls_text(worst, run->threshold_ns, &style, page);
	if (!fclose(page))
		fputs(text, out);
	free(text);
}

/* Write the report; `warned`: why there may be nothing in it has been said. */
static void
write_report(struct session *session, const struct run_options *options,
	const struct report_run *run, bool warned, FILE *out)
{
	struct groups *groups = session_groups(session);
	unsigned long long targets = session_targets(session);
	size_t loops = report_loops(groups);

	if (!loops && !warned && targets)
		warning("no event loop was seen in %llu %s that carried the probe",
			targets, targets == 1 ? "process" : "processes");
	else if (!loops && !warned)
		warning("no event loop was seen: no process registered (shells and small "
			"tools never do)");
	if (options->report == RUN_JSON) {
		char *json = report_stalls_json(groups, session_worst(session));

		fputs(json ? json : "", out);
		free(json);
	} else if (loops) {
		write_text(groups, session_worst(session), run, out);
	}
	if (fflush(out) || ferror(out))
		warning("cannot write the report to %s: %s",
			options->output ? options->output : "standard error",
			strerror(errno));
}

/* Open the file for the report. NULL: it cannot be. */
static FILE *
open_output(const char *path)
{
	if (!path)
		return stderr;
	return strcmp(path, "-") ? fopen(path, "we") : stdout;
}

/* Run the command in our own collector. Returns the exit status if it could not be run. */
static int
collect(const struct run_options *options, const char *library, bool warned)
{
	struct report_run run = {.argv = options->argv};
	struct session *session;
	FILE *out = open_output(options->output);
	int r;

	if (!out) {
		fprintf(stderr, "looplag: cannot write to %s: %s\n", options->output,
			strerror(errno));
		return RUN_FAILED;
	}
	r = session_open(options->threshold_ns, &session);
	if (r) {
		fprintf(stderr,
			"looplag: cannot listen for the probe in a directory of our "
			"own: %s; TMPDIR can name another place\n",
			strerror(-r));
		return RUN_FAILED;
	}
	run.threshold_ns = session_threshold_ns(session);
	r = prepare_environment(library, session_socket(session), options->groupname);
	if (!r)
		r = session_run(session, options->argv, &run.status, &run.seconds);
	if (r) {
		session_close(session);
		return not_run(*options->argv, -r);
	}
	session_shut(session);
	write_report(session, options, &run, warned, out);
	session_close(session);
	if (out != stderr)
		fclose(out);
	spawn_exit_like(run.status);
}

/* Become the command, with the daemon's socket. Returns the exit status if that fails. */
static int
attach(const struct run_options *options, const char *library)
{
	char *path = realpath(options->socket, NULL);
	int r = prepare_environment(
		library, path ? path : options->socket, options->groupname);

	free(path);
	if (r) {
		fprintf(stderr, "looplag: %s\n", strerror(-r));
		return RUN_FAILED;
	}
	return not_run(*options->argv, -command_exec(options->argv));
}

/* Find the probe library. Returns 0, or says why it cannot be used. */
static int
find_library(char *ret_library)
{
	int r = preload_find_own(ret_library);

	if (r == -EINVAL)
		fprintf(stderr,
			"looplag: LD_PRELOAD cannot hold the path of %s: it has a blank "
			"or a colon; name a copy elsewhere in LOOPLAG_LIBRARY\n",
			ret_library);
	else if (r)
		fprintf(stderr,
			"looplag: cannot read the probe library %s; name it in "
			"LOOPLAG_LIBRARY\n",
			ret_library);
	return r;
}

int
run_main(int argc, char *argv[])
{
	struct run_options options;
	char library[PATH_MAX];
	bool warned;
	int r, status;

	if (run_options_parse(argc, argv, &options, &status))
		return status;
	if (find_library(library))
		return RUN_FAILED;
	warned = warn_of_command(*options.argv);
	if (options.report == RUN_TEXT || options.report == RUN_JSON)
		return collect(&options, library, warned);
	r = listener_look(options.socket);
	if (r && (options.socket_chosen || options.report == RUN_NONE ||
			 (r != -ENOENT && r != -ECONNREFUSED)))
		warning("no daemon listens on %s (%s)%s", options.socket, strerror(-r),
			options.report == RUN_NONE ? ""
						   : ": watching the command from here");
	if (!r || options.report == RUN_NONE)
		return attach(&options, library);
	return collect(&options, library, warned);
}
