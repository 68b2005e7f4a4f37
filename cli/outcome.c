/* SPDX-License-Identifier: MIT */
/* See outcome.h. */

#include "config.h"

#include "cli/outcome.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/difference.h"
#include "cli/doctor_options.h"
#include "cli/enable_options.h"
#include "cli/findings.h"
#include "cli/output.h"
#include "cli/service.h"
#include "cli/style.h"

static const char *const results[] = {
	[OUTCOME_DONE] = "done",
	[OUTCOME_ALREADY] = "already",
	[OUTCOME_REFUSED] = "refused",
	[OUTCOME_FAILED] = "failed",
};
static const char *const restarts[] = {
	[RESTART_NONE] = "none",
	[RESTART_NEEDED] = "needed",
	[RESTART_DONE] = "done",
	[RESTART_FAILED] = "failed",
};

int
outcome_show(
	struct outcome *outcome, const char *path, const char *before, const char *after)
{
	char *text = difference(path, before, after);

	if (!text)
		return -ENOMEM;
	if (!outcome->options->json) {
		fputs(text, stdout);
		if (!outcome->_error)
			outcome->_error = output_flush();
	} else {
		if (!outcome->_memory)
			outcome->_memory = open_memstream(
				&outcome->_changes, &outcome->_changes_bytes);
		if (outcome->_memory)
			fputs(text, outcome->_memory);
	}
	free(text);
	return 0;
}

void
outcome_restart(struct outcome *outcome, const struct service *service, bool carry)
{
	bool changed = outcome->result == OUTCOME_DONE;
	int carries;

	outcome->restart = RESTART_NONE;
	if (!service_runs(service))
		return;
	carries = service_carries(service);
	if (!changed && (carries < 0 || carries == carry))
		return;
	if (!outcome->options->now || outcome->options->dry_run)
		outcome->restart = RESTART_NEEDED;
	else
		outcome->restart =
			service_restart(service) ? RESTART_FAILED : RESTART_DONE;
}

static void
print_json(const struct outcome *outcome)
{
	json_t *all = json_pack("{s:s, s:s, s:s, s:b, s:s*, s:s, s:s, s:o}", "verb",
		outcome->verb, "unit", outcome->unit, "result", results[outcome->result],
		"dry_run", outcome->options->dry_run, "path", outcome->path, "restart",
		restarts[outcome->restart], "changes",
		outcome->_changes ? outcome->_changes : "", "findings",
		findings_json(outcome->findings));
	char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;

	printf("%s\n", text ? text : "{}");
	free(text);
	json_decref(all);
}

/* What is to be said of the restart, behind the result. */
static void
print_restart(const struct outcome *outcome)
{
	bool enabled = !strcmp(outcome->verb, "enable");
	const char *at = strchr(outcome->unit, '@');
	bool template = at && !strcmp(at, "@.service");

	switch (outcome->restart) {
	case RESTART_NONE:
		fputs("\n", stderr);
		break;
	case RESTART_NEEDED:
		fprintf(stderr,
			"; restart it to %s the probe: ", enabled ? "load" : "be rid of");
		if (template)
			fprintf(stderr, "systemctl try-restart '%.*s@*.service'\n",
				(int)(at - outcome->unit), outcome->unit);
		else
			fprintf(stderr, "systemctl restart %s\n", outcome->unit);
		break;
	case RESTART_DONE:
		fputs(", and was restarted\n", stderr);
		break;
	case RESTART_FAILED:
		fputs(", and could not be restarted\n", stderr);
		break;
	}
}

static void
print_text(const struct outcome *outcome)
{
	bool enabled = !strcmp(outcome->verb, "enable");
	struct style style = style_of(stderr);

	findings_print_list(outcome->findings, &style, stderr);
	switch (outcome->result) {
	case OUTCOME_DONE:
		fprintf(stderr, "%s %s %sd", outcome->unit,
			outcome->options->dry_run ? "would be" : "is", outcome->verb);
		break;
	case OUTCOME_ALREADY:
		fprintf(stderr, "%s is %s", outcome->unit,
			enabled ? "enabled already" : "not enabled");
		if (outcome->path)
			fprintf(stderr, ", by %s", outcome->path);
		break;
	default:
		fprintf(stderr, "%s was not %sd\n", outcome->unit, outcome->verb);
		return;
	}
	print_restart(outcome);
}

int
outcome_print(struct outcome *outcome)
{
	int status =
		outcome->result > OUTCOME_ALREADY || outcome->restart == RESTART_FAILED
			? DOCTOR_CANNOT
			: 0;

	if (outcome->_memory && fclose(outcome->_memory))
		status = DOCTOR_CANNOT;
	if (outcome->options->json)
		print_json(outcome);
	else
		print_text(outcome);
	if (outcome->_memory)
		free(outcome->_changes);
	outcome->_memory = NULL;
	outcome->_changes = NULL;
	if (!outcome->_error)
		outcome->_error = output_flush();
	return output_status(outcome->_error) ? DOCTOR_CANNOT : status;
}
