/* SPDX-License-Identifier: MIT */
/* Looks at the daemon's socket, and at what it says of registrations that it has refused. */

#include "config.h"

#include "cli/examine_daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor_options.h"
#include "cli/fetch.h"
#include "cli/findings.h"
#include "cli/listener.h"

#define REFUSALS "looplag_rejected_segments_total{reason=\""

void
examine_daemon_refusals(struct findings *findings, const char *url, const char *page)
{
	for (const char *at = page; (at = strstr(at, REFUSALS)); at++) {
		char reason[64];
		double count;

		if ((at != page && at[-1] != '\n') ||
			sscanf(at + strlen(REFUSALS), "%63[a-z_]\"} %lf", reason,
				&count) != 2 ||
			!(count > 0))
			continue;
		findings_add(findings, FINDING_WARNING,
			findings_text(findings, "refused-%s", reason), url,
			findings_text(findings,
				"has refused %.0f registrations since its start (%s)",
				count, reason),
			"looplagd(8) explains the reasons under "
			"looplag_rejected_segments_total");
	}
}

/* Tell what is wrong with the socket. */
static void
tell_of_socket(
	struct findings *findings, enum finding_level level, const char *path, int error)
{
	if (error == ENOENT || error == ECONNREFUSED)
		findings_add(findings, level, "no-daemon", path,
			"is where no looplagd listens",
			level == FINDING_NOTE
				? "without it 'looplag run' reports by itself"
				: "systemctl start looplagd.socket");
	else if (error == EPROTOTYPE)
		findings_add(findings, FINDING_WARNING, "socket", path,
			"is the socket of another program",
			"name the right one by --socket");
	else
		findings_add(findings, FINDING_WARNING, "socket", path,
			findings_text(findings, "cannot be reached from here: %s",
				strerror(error)),
			"name the right one by --socket");
}

bool
examine_daemon(struct findings *findings, enum finding_level level,
	const struct doctor_options *options)
{
	int r = listener_look(options->socket);
	char error[FETCH_ERROR_BYTES], *page;
	struct fetch *fetch;

	if (r) {
		tell_of_socket(findings, level, options->socket, -r);
		return false;
	}
	fetch = fetch_is_possible() ? fetch_new(options->url) : NULL;
	if (!fetch)
		return true;
	if (!fetch_get(fetch, "/metrics", &page, error)) {
		examine_daemon_refusals(findings, options->url, page);
		free(page);
	} else {
		findings_add(findings, FINDING_NOTE, "metrics", options->url,
			findings_text(findings, "serves no metrics: %s", error),
			"name the daemon's address by --url");
	}
	fetch_free(fetch);
	return true;
}
