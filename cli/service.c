/* SPDX-License-Identifier: MIT */
/* See service.h. */

#include "config.h"

#include "cli/service.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "cli/process_facts.h"
#include "cli/systemctl.h"
#include "cli/unit_properties.h"

/* All that is asked for by those who change it. */
static const char *const names[] = {"ActiveState", "BindPaths", "BindReadOnlyPaths",
	"DropInPaths", "DynamicUser", "EnvironmentFiles", "ExecPaths", "FragmentPath",
	"Id", "InaccessiblePaths", "LoadState", "MainPID", "MountAPIVFS",
	"NeedDaemonReload", "NoExecPaths", "PrivateTmp", "ProtectHome",
	"RestrictAddressFamilies", "RootDirectory", "RootImage", "SystemCallFilter",
	"TemporaryFileSystem", NULL};

/* The first of a template's instances: those that systemd has loaded, or those that run.
 * Returns whether there is one. */
static bool
find_instance(const char *unit, bool running, char ret_name[UNIT_NAME_BYTES])
{
	char program[] = "systemctl", list[] = "list-units", plain[] = "--plain",
	     legend[] = "--no-legend", full[] = "--full", end[] = "--";
	char active[] = "--state=active,activating,reloading", all[] = "--all";
	char pattern[UNIT_NAME_BYTES], *text;
	char *argv[] = {program, list, plain, legend, full, running ? active : all, end,
		pattern, NULL};
	bool found = false;

	if (unit_name_of_instance(unit, "*", pattern) || systemctl_ask(argv, &text))
		return false;
	if (*text) {
		snprintf(ret_name, UNIT_NAME_BYTES, "%.*s", (int)strcspn(text, " \n"),
			text);
		found = true;
	}
	free(text);
	return found;
}

int
service_find(const char *word, struct service *ret_service)
{
	struct service service = {.imaginary = false};
	int r = unit_name_complete(word, service.unit);

	if (!r && !unit_name_is_template(service.unit)) {
		strcpy(service.asked, service.unit);
	} else if (!r && !find_instance(service.unit, false, service.asked)) {
		service.imaginary = true;
		r = unit_name_of_instance(service.unit, "looplag", service.asked);
	}
	if (r)
		return r;
	if (unit_properties_read(service.asked, names, &service.properties)) {
		r = -EIO;
	} else if (strcmp(unit_property(service.properties, "LoadState"), "loaded") !=
		   0) {
		unit_properties_free(service.properties);
		service.properties = NULL;
		r = -ENOENT;
	} else if (!unit_name_is_template(service.unit)) {
		/* The word may be another name of it. */
		snprintf(service.unit, sizeof service.unit, "%s",
			unit_property(service.properties, "Id"));
	}
	*ret_service = service;
	return r;
}

void
service_fini(struct service *service)
{
	unit_properties_free(service->properties);
	service->properties = NULL;
}

bool
service_runs(const struct service *service)
{
	const char *state = unit_property(service->properties, "ActiveState");
	char instance[UNIT_NAME_BYTES];

	if (unit_name_is_template(service->unit))
		return find_instance(service->unit, true, instance);
	return !strcmp(state, "active") || !strcmp(state, "activating") ||
	       !strcmp(state, "reloading");
}

int
service_carries(const struct service *service)
{
	pid_t pid =
		(pid_t)strtol(unit_property(service->properties, "MainPID"), NULL, 10);
	struct process_facts facts;
	int r = pid > 0 ? process_facts_read(pid, &facts) : -ESRCH;

	if (r)
		return r;
	r = *facts.library != '\0';
	process_facts_fini(&facts);
	return r;
}

int
service_restart(const struct service *service)
{
	char pattern[UNIT_NAME_BYTES];

	if (!unit_name_is_template(service->unit))
		return systemctl_do("try-restart", service->unit);
	if (unit_name_of_instance(service->unit, "*", pattern))
		return -ENAMETOOLONG;
	return systemctl_do("try-restart", pattern);
}
