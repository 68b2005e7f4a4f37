/* SPDX-License-Identifier: MIT */
/* See enable_plan.h. */

#include "config.h"

#include "cli/enable_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/dropin.h"
#include "cli/dropin_file.h"
#include "cli/enable_options.h"
#include "cli/findings.h"
#include "cli/preload.h"
#include "cli/service.h"
#include "cli/unit_environment.h"
#include "cli/unit_properties.h"
#include "cli/unit_settings.h"
#include "cli/unit_view.h"
#include "cli/usage.h"

#define VARIABLE "LD_PRELOAD"

/* What is known while a plan is made. */
struct work {
	const struct service *service;
	const struct enable_options *options;
	struct findings *findings;
	struct unit_settings *ours, *others;
	struct enable_plan *plan;
};

static void
add_obstacle(const struct work *work, const char *code, const char *where,
	const char *what, const char *mend)
{
	findings_add(work->findings, FINDING_OBSTACLE, code, where, what, mend);
}

/* The path of a drop-in of the unit itself. */
static void
name_dropin(const struct work *work, const char *top, const char *name, char *ret_path)
{
	snprintf(ret_path, PATH_MAX, "%s/%s.d/%s", top, work->service->unit, name);
}

/* Whether it lies among the unit's own, and not among those of its template. */
static bool
is_its_own(const struct work *work, const char *path)
{
	static const char *const tops[] = {ENABLE_PLAN_LASTING, ENABLE_PLAN_RUNTIME};
	char own[PATH_MAX];

	for (size_t i = 0; i < sizeof tops / sizeof *tops; i++) {
		size_t length;

		name_dropin(work, tops[i], "", own);
		length = strlen(own);
		if (!strncmp(path, own, length) && !strchr(path + length, '/'))
			return true;
	}
	return false;
}

/* Take what a file of the unit says. */
static int
take_file(const struct work *work, const char *path)
{
	char *text = NULL;
	int r = dropin_file_read(path, &text);

	if (!r && text) {
		bool ours =
			unit_name_is_dropin(path) && dropin_owner(text) != DROPIN_FOREIGN;

		if (ours && !is_its_own(work, path))
			strcpy(work->plan->by, path);
		else
			r = unit_settings_take(
				ours ? work->ours : work->others, path, text);
	}
	free(text);
	if (r)
		add_obstacle(work, "unit-file", path,
			findings_text(work->findings, "cannot be read: %s", strerror(-r)),
			NULL);
	return r == -ENOMEM ? r : 0;
}

static int
take_files(const struct work *work)
{
	const char *fragment = unit_property(work->service->properties, "FragmentPath");
	const char *dropins = unit_property(work->service->properties, "DropInPaths");
	int r = *fragment ? take_file(work, fragment) : 0;
	char path[PATH_MAX];

	while (!r && unit_next_word(&dropins, path, sizeof path))
		r = take_file(work, path);
	return r;
}

/* Read a drop-in if it is there. */
static int
read_dropin(const struct work *work, const char *path, char **ret_text)
{
	int r = dropin_file_read(path, ret_text);

	if (r && r != -ENOMEM) {
		add_obstacle(work, "drop-in", path,
			findings_text(work->findings, "cannot be read: %s", strerror(-r)),
			NULL);
		*ret_text = NULL;
		r = 0;
	}
	return r;
}

/* Choose where the drop-in lies, and see what lies there. */
static int
choose_path(const struct work *work)
{
	const char *top =
		work->options->runtime ? ENABLE_PLAN_RUNTIME : ENABLE_PLAN_LASTING;
	struct enable_plan *plan = work->plan;
	const char *behind;
	int r;

	behind = unit_settings_undone_by(work->others, UNIT_NAME_DROPIN, VARIABLE);
	if (behind &&
		unit_settings_undone_by(work->others, UNIT_NAME_LAST_DROPIN, VARIABLE))
		add_obstacle(work, "last", behind,
			"comes behind every drop-in of looplag, and would undo it",
			"give it another name");
	name_dropin(
		work, top, behind ? UNIT_NAME_LAST_DROPIN : UNIT_NAME_DROPIN, plan->path);
	name_dropin(work, top, behind ? UNIT_NAME_DROPIN : UNIT_NAME_LAST_DROPIN,
		plan->old_path);
	r = read_dropin(work, plan->path, &plan->before);
	if (!r)
		r = read_dropin(work, plan->old_path, &plan->old);
	if (r)
		return r;
	if (plan->old && dropin_owner(plan->old) == DROPIN_FOREIGN) {
		free(plan->old);
		plan->old = NULL;
	}
	if (!plan->old)
		*plan->old_path = '\0';
	return 0;
}

/* Whether there is nothing to be lost where the drop-in is to lie. */
static void
examine_place(const struct work *work, const char *path, const char *text)
{
	enum dropin_owner owner = text ? dropin_owner(text) : DROPIN_OURS;

	if (owner == DROPIN_FOREIGN)
		add_obstacle(work, "foreign", path, "was not made by looplag",
			"give it another name");
	if (owner == DROPIN_CHANGED && !work->options->force)
		add_obstacle(work, "changed", path,
			"was changed since looplag has made it", "--force makes it anew");
}

/* Whether one of the unit's own files has LD_PRELOAD name the probe, or set it where no
 * drop-in can. */
static void
examine_preload(const struct work *work, const char *value, const char *file)
{
	char in_file[PATH_MAX], of_file[8192], library[PATH_MAX];

	if (unit_environment_in_files(work->service->properties, VARIABLE, in_file,
		    of_file, sizeof of_file)) {
		if (preload_find_in(of_file, library))
			strcpy(work->plan->by, in_file);
		else
			add_obstacle(work, "environment-file", in_file,
				findings_text(work->findings,
					"sets LD_PRELOAD=%s, and what an environment "
					"file sets goes before every drop-in",
					of_file),
				findings_text(work->findings,
					"set both there: LD_PRELOAD=%s%s%s", of_file,
					*of_file ? ":" : "", work->plan->library));
	} else if (value && preload_find_in(value, library)) {
		strcpy(work->plan->by, file);
	} else if (value && !dropin_can_hold(value)) {
		add_obstacle(work, "odd-preload", file,
			"sets an LD_PRELOAD with control characters, or one that is "
			"absurdly long",
			"mend that");
	}
}

/* What systemd gives to all services, with each % doubled; or NULL. Caller frees. */
static char *
preload_of_all(void)
{
	static const char *const names[] = {"Environment", NULL};
	struct unit_properties *properties;
	char value[8192];
	bool found;

	if (unit_properties_read(NULL, names, &properties))
		return NULL;
	found = unit_find_variable(
		unit_property(properties, "Environment"), VARIABLE, value, sizeof value);
	unit_properties_free(properties);
	return found ? dropin_plain(value) : NULL;
}

/* Write down what the drop-in is to say. */
static int
compose(const struct work *work, const char *existing)
{
	const char *socket = work->options->socket ? work->options->socket : USAGE_SOCKET;
	struct enable_plan *plan = work->plan;
	const struct unit_needs *needs = &plan->needs;
	const char *own = plan->before ? plan->before : plan->old;
	char *library = dropin_plain(plan->library), *of_all = NULL, *value = NULL;
	char source[PATH_MAX], bind[2 * PATH_MAX] = "", directory[PATH_MAX] = "";
	struct dropin dropin = {
		.made_directory = own ? dropin_made_directory(own)
				      : !dropin_file_has_directory(plan->path),
		.socket = work->options->socket,
		.execute = needs->execution ? library : NULL,
		.unix_sockets = needs->unix_sockets,
		.calls = *needs->calls ? needs->calls : NULL,
	};

	if (!existing)
		existing = of_all = preload_of_all();
	if (library)
		value = preload_append(existing, library);
	if (needs->library && !preload_find_own(source))
		snprintf(bind, sizeof bind, "-%s%s%s", source, needs->inside ? ":" : "",
			needs->inside ? UNIT_NEEDS_INSIDE : "");
	if (needs->directory)
		snprintf(directory, sizeof directory, "-%.*s",
			(int)(strrchr(socket, '/') - socket), socket);
	dropin.preload = value;
	dropin.bind_library = *bind ? bind : NULL;
	dropin.bind_directory = *directory ? directory : NULL;
	plan->after = value ? dropin_text(&dropin) : NULL;
	free(library);
	free(of_all);
	free(value);
	return plan->after ? 0 : -ENOMEM;
}

/* Find the library, and where the service is to see it. */
static void
find_library(const struct work *work)
{
	const char *socket = work->options->socket ? work->options->socket : USAGE_SOCKET;
	struct enable_plan *plan = work->plan;
	int r = preload_find_own(plan->library);
	const char *root;

	if (r == -ENOENT)
		add_obstacle(work, "library", plan->library, "cannot be read",
			"install it, or name it in LOOPLAG_LIBRARY");
	else if (r || strpbrk(plan->library, "\\\"'%"))
		add_obstacle(work, "library-name", plan->library,
			"has a blank, a colon, a quote or a percent sign in its path",
			"name a copy elsewhere in LOOPLAG_LIBRARY");
	root = unit_view_own_root(work->service->properties);
	if (root && !unit_property_is_set(work->service->properties, "MountAPIVFS"))
		add_obstacle(work, "own-root", work->service->unit,
			findings_text(work->findings,
				"has a root directory of its own (%s) and no /run "
				"(MountAPIVFS=no)",
				root),
			"set MountAPIVFS=yes");
	unit_needs_find(work->service->properties, work->ours, work->others,
		plan->library, socket, &plan->needs);
	if (plan->needs.inside)
		strcpy(plan->library, UNIT_NEEDS_INSIDE);
}

static int
make(const struct work *work)
{
	const char *existing, *file = "";
	int r = take_files(work);

	if (!r)
		r = choose_path(work);
	if (r)
		return r;
	find_library(work);
	existing = unit_settings_variable(work->others, VARIABLE, &file);
	examine_preload(work, existing, file);
	if (*work->plan->by)
		return 0;
	examine_place(work, work->plan->path, work->plan->before);
	if (*work->plan->old_path)
		examine_place(work, work->plan->old_path, work->plan->old);
	return findings_obstacles(work->findings) ? 0 : compose(work, existing);
}

int
enable_plan_make(const struct service *service, const struct enable_options *options,
	struct findings *findings, struct enable_plan *ret_plan)
{
	struct enable_plan plan = {.before = NULL};
	struct work work = {service, options, findings, unit_settings_new(),
		unit_settings_new(), &plan};
	int r = work.ours && work.others ? make(&work) : -ENOMEM;

	unit_settings_free(work.ours);
	unit_settings_free(work.others);
	if (r)
		enable_plan_fini(&plan);
	else
		*ret_plan = plan;
	return r;
}

void
enable_plan_fini(struct enable_plan *plan)
{
	free(plan->before);
	free(plan->after);
	free(plan->old);
}
