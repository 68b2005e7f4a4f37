/* SPDX-License-Identifier: MIT */
/* Whether somebody is there for the probe to report to. */
#ifndef LOOPLAG_CLI_EXAMINE_DAEMON_H
#define LOOPLAG_CLI_EXAMINE_DAEMON_H

#include <stdbool.h>

#include "cli/findings.h"

struct doctor_options;

/* Tell if nobody listens, which is as grave as `level`, or if registrations were refused.
 * Returns whether somebody listens. */
bool
examine_daemon(struct findings *findings, enum finding_level level,
	const struct doctor_options *options);

/* Tell of each reason for which registrations were refused, in a page of metrics. Pure. */
void
examine_daemon_refusals(struct findings *findings, const char *url, const char *page);

#endif
