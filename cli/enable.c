/* SPDX-License-Identifier: MIT */
/* looplag enable: makes a plan, has the doctor look at the unit, shows what is to be written,
 * writes it, and sees to it that systemd has taken it. */

#include "config.h"

#include "cli/enable.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor_options.h"
#include "cli/dropin_file.h"
#include "cli/enable_options.h"
#include "cli/enable_plan.h"
#include "cli/examine_unit.h"
#include "cli/findings.h"
#include "cli/listener.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "cli/service.h"
#include "cli/systemctl.h"
#include "cli/unit_properties.h"
#include "cli/usage.h"

static const char *
socket_of(const struct enable_options *options)
{
	return options->socket ? options->socket : USAGE_SOCKET;
}

/* What the doctor says of a unit that the plan mends, or that is no matter of it. */
static void
drop_mended(struct findings *findings, const struct service *service,
	const struct enable_plan *plan)
{
	const struct unit_needs *needs = &plan->needs;
	const struct {
		bool mended;
		const char *code;
	} table[] = {
		{true, "no-preload"},
		{true, "other-preload"},
		{service->imaginary, "no-program"},
		{needs->unix_sockets, "families"},
		{needs->execution, "noexec-paths"},
		{*needs->calls || needs->own_filter, "call-filter"},
		{needs->own_filter, "helper-filter"},
		{needs->directory, "socket-hidden"},
		{needs->library, "library-hidden"},
		{needs->inside, "library-missing"},
		{needs->inside, "library-unreadable"},
		{needs->inside, "noexec"},
		{needs->inside, "root-image"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (table[i].mended)
			findings_drop(findings, table[i].code, NULL);
}

/* Find out what is to be said of the service. */
static int
examine(struct outcome *outcome, const struct service *service,
	const struct enable_plan *plan)
{
	const char *socket = socket_of(outcome->options);
	struct findings *findings = outcome->findings;
	struct unit_facts facts;
	int r = examine_unit(findings, service->asked, socket, plan->library, &facts);

	if (r)
		return r;
	drop_mended(findings, service, plan);
	if (!strcmp(service->unit, "looplagd.service"))
		findings_add(findings, FINDING_OBSTACLE, "itself", service->unit,
			"measures itself already", NULL);
	if (listener_look(socket))
		findings_add(findings, FINDING_WARNING, "no-daemon", socket,
			"is where no looplagd listens",
			"systemctl enable --now looplagd.socket looplagd.service");
	return 0;
}

/* Whether systemd has it that the service loads the library. */
static bool
is_taken(const struct service *service, const char *library)
{
	static const char *const names[] = {"Environment", NULL};
	struct unit_properties *properties;
	char value[8192];
	bool taken;

	if (unit_properties_read(service->asked, names, &properties))
		return false;
	taken = unit_find_variable(unit_property(properties, "Environment"), "LD_PRELOAD",
			value, sizeof value) &&
		strstr(value, library);
	unit_properties_free(properties);
	return taken;
}

/* Write what was shown, and have systemd read it. */
static int
carry_out(struct outcome *outcome, const struct service *service,
	const struct enable_plan *plan)
{
	int r = dropin_file_write(plan->path, plan->after);

	if (!r && *plan->old_path)
		r = dropin_file_remove(plan->old_path, false);
	if (r) {
		findings_add(outcome->findings, FINDING_OBSTACLE, "write", plan->path,
			findings_text(
				outcome->findings, "cannot be written: %s", strerror(-r)),
			NULL);
		return r;
	}
	r = systemctl_do("daemon-reload", NULL);
	if (!r && !is_taken(service, plan->library))
		r = -EBADMSG;
	if (r)
		findings_add(outcome->findings, FINDING_OBSTACLE, "not-taken", plan->path,
			"was written, and systemd does not heed it",
			"systemctl daemon-reload may tell why, or the journal");
	return r;
}

/* Do what is to be done about a service. */
static int
enable(struct outcome *outcome, const struct service *service, struct enable_plan *plan)
{
	bool dry = outcome->options->dry_run;
	int r = 0;

	outcome->path = *plan->by ? plan->by : plan->path;
	outcome->result = OUTCOME_REFUSED;
	if (findings_obstacles(outcome->findings))
		return 0;
	if (*plan->by || (plan->before && !*plan->old_path &&
				 !strcmp(plan->before, plan->after))) {
		outcome->result = OUTCOME_ALREADY;
	} else {
		outcome->result = OUTCOME_DONE;
		r = outcome_show(outcome, plan->path, plan->before, plan->after);
		if (!r && *plan->old_path)
			r = outcome_show(outcome, plan->old_path, plan->old, NULL);
		if (!r && !dry && carry_out(outcome, service, plan))
			outcome->result = OUTCOME_FAILED;
	}
	if (!r && outcome->result != OUTCOME_FAILED)
		outcome_restart(outcome, service, true);
	return r;
}

/* Returns the exit status. */
static int
enable_one(const char *word, const struct enable_options *options)
{
	struct outcome outcome = {.options = options, .verb = "enable"};
	struct enable_plan plan = {.before = NULL};
	struct service service;
	int status = DOCTOR_USAGE, r = service_find(word, &service);

	if (r) {
		fprintf(stderr, "looplag: cannot enable %s: %s\n", word,
			r == -EINVAL   ? "that is no service's name"
			: r == -ENOENT ? "there is no such unit"
				       : "systemctl does not answer");
		return status;
	}
	outcome.unit = service.unit;
	outcome.findings = findings_new("unit", service.unit);
	r = outcome.findings
		    ? enable_plan_make(&service, options, outcome.findings, &plan)
		    : -ENOMEM;
	if (!r)
		r = examine(&outcome, &service, &plan);
	if (!r)
		r = enable(&outcome, &service, &plan);
	if (!r)
		status = outcome_print(&outcome);
	else
		fprintf(stderr, "looplag: cannot enable %s: %s\n", word, strerror(-r));
	enable_plan_fini(&plan);
	findings_free(outcome.findings);
	service_fini(&service);
	return status;
}

int
enable_main(int argc, char *argv[])
{
	struct enable_options options;
	int status;

	/* A unit is not left half done, whoever stops reading. */
	output_begin();
	if (enable_options_parse(argc, argv, &options, &status))
		return status;
	/* systemd does not notice each file that is new, and our own must fit to all. */
	if (!options.dry_run && systemctl_do("daemon-reload", NULL)) {
		fputs("looplag: cannot enable units: systemctl does not answer\n",
			stderr);
		return DOCTOR_USAGE;
	}
	for (char **word = options.argv; *word; word++) {
		int one = enable_one(*word, &options);

		if (one > status || word == options.argv)
			status = one;
	}
	return status;
}
