/* SPDX-License-Identifier: MIT */
/* looplag disable: removes what looplag enable has written. That works without systemd, too,
 * and when the unit itself is gone. */

#include "config.h"

#include "cli/disable.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/doctor_options.h"
#include "cli/dropin.h"
#include "cli/dropin_file.h"
#include "cli/enable_options.h"
#include "cli/enable_plan.h"
#include "cli/findings.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "cli/service.h"
#include "cli/systemctl.h"
#include "cli/unit_properties.h"

static void
add_obstacle(const struct outcome *outcome, const char *code, const char *where,
	const char *what, const char *mend)
{
	findings_add(outcome->findings, FINDING_OBSTACLE, code, where, what, mend);
}

/* Remove one file, if it is ours. */
static int
remove_one(struct outcome *outcome, const char *path)
{
	char *text;
	int r = dropin_file_read(path, &text);

	if (r == -ENOMEM)
		return r;
	if (r) {
		add_obstacle(outcome, "drop-in", path,
			findings_text(
				outcome->findings, "cannot be read: %s", strerror(-r)),
			NULL);
		return 0;
	}
	if (!text || dropin_owner(text) == DROPIN_FOREIGN) {
		if (text)
			findings_add(outcome->findings, FINDING_NOTE, "foreign", path,
				"was not made by looplag, and is left", NULL);
		free(text);
		return 0;
	}
	if (dropin_owner(text) == DROPIN_CHANGED && !outcome->options->force) {
		add_obstacle(outcome, "changed", path,
			"was changed since looplag has made it",
			"--force removes it nevertheless");
		free(text);
		return 0;
	}
	outcome->result = OUTCOME_DONE;
	r = outcome_show(outcome, path, text, NULL);
	if (!r && !outcome->options->dry_run) {
		int error = dropin_file_remove(path, dropin_made_directory(text));

		if (error)
			add_obstacle(outcome, "remove", path,
				findings_text(outcome->findings, "cannot be removed: %s",
					strerror(-error)),
				NULL);
	}
	free(text);
	return r;
}

/* Remove those that the unit has. */
static int
remove_all(struct outcome *outcome, const struct service *service)
{
	static const char *const tops[] = {ENABLE_PLAN_LASTING, ENABLE_PLAN_RUNTIME};
	static const char *const names[] = {UNIT_NAME_DROPIN, UNIT_NAME_LAST_DROPIN};
	int r = 0;

	for (size_t i = 0; !r && i < 4; i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof path, "%s/%s.d/%s", tops[i / 2], service->unit,
			names[i % 2]);
		r = remove_one(outcome, path);
	}
	return r;
}

/* Whether a drop-in of ours that belongs to several units, such as a template's, is in force
 * for this one. */
static void
examine_others(const struct outcome *outcome, const struct service *service)
{
	const char *paths = service->properties
				    ? unit_property(service->properties, "DropInPaths")
				    : "";
	char path[PATH_MAX], own[UNIT_NAME_BYTES + 4];

	snprintf(own, sizeof own, "/%s.d/", service->unit);
	while (unit_next_word(&paths, path, sizeof path)) {
		char *text = NULL;

		if (!unit_name_is_dropin(path) || strstr(path, own) ||
			dropin_file_read(path, &text) || !text)
			continue;
		if (dropin_owner(text) != DROPIN_FOREIGN)
			add_obstacle(outcome, "elsewhere", path,
				"enables it, and other units, too",
				"disable the unit that it belongs to");
		free(text);
	}
}

/* Do what is to be done about a service; `found` is what service_find() says of it. */
static int
disable(struct outcome *outcome, const struct service *service, int found)
{
	int r;

	outcome->result = OUTCOME_ALREADY;
	r = remove_all(outcome, service);
	if (r)
		return r;
	if (outcome->result == OUTCOME_ALREADY && found && found != -EIO &&
		!findings_obstacles(outcome->findings))
		return found;
	examine_others(outcome, service);
	if (outcome->result == OUTCOME_DONE && !outcome->options->dry_run &&
		found != -EIO && systemctl_do("daemon-reload", NULL))
		add_obstacle(outcome, "not-reloaded", service->unit,
			"is disabled, and systemd does not heed it",
			"systemctl daemon-reload");
	if (findings_obstacles(outcome->findings))
		outcome->result = outcome->result == OUTCOME_DONE ? OUTCOME_FAILED
								  : OUTCOME_REFUSED;
	else if (!found)
		outcome_restart(outcome, service, false);
	return 0;
}

/* Returns the exit status. */
static int
disable_one(const char *word, const struct enable_options *options)
{
	struct outcome outcome = {.options = options, .verb = "disable"};
	struct service service = {.properties = NULL};
	int found = service_find(word, &service), status = DOCTOR_USAGE, r = found;

	if (found != -EINVAL) {
		outcome.unit = service.unit;
		outcome.findings = findings_new("unit", service.unit);
		r = outcome.findings ? disable(&outcome, &service, found) : -ENOMEM;
	}
	if (!r)
		status = outcome_print(&outcome);
	else
		fprintf(stderr, "looplag: cannot disable %s: %s\n", word,
			r == -EINVAL   ? "that is no service's name"
			: r == -ENOENT ? "there is no such unit"
				       : strerror(-r));
	findings_free(outcome.findings);
	service_fini(&service);
	return status;
}

int
disable_main(int argc, char *argv[])
{
	struct enable_options options;
	int status;

	output_begin();
	if (enable_options_parse(argc, argv, &options, &status))
		return status;
	for (char **word = options.argv; *word; word++) {
		int one = disable_one(*word, &options);

		if (one > status || word == options.argv)
			status = one;
	}
	return status;
}
