/* SPDX-License-Identifier: MIT */
/* See unit_needs.h. */

#include "config.h"

#include "cli/unit_needs.h"

#include <stddef.h>

#include "cli/unit_properties.h"
#include "cli/unit_settings.h"
#include "cli/unit_view.h"

/* What is known of a unit. */
struct unit {
	const struct unit_properties *properties;
	const struct unit_settings *ours, *others;
};

/* What we have added to a list that is still there without us, or NULL. */
static const char *
kept(const struct unit *unit, const char *name, const char *list)
{
	return unit_settings_value(unit->others, list)
		       ? unit_settings_value(unit->ours, name)
		       : NULL;
}

/* Whether nobody but us has added to a list. */
static bool
is_ours_alone(const struct unit *unit, const char *name)
{
	return unit_settings_value(unit->ours, name) &&
	       !unit_settings_value(unit->others, name);
}

/* A list as systemd has it, or would have it without one that is ours alone. */
static const char *
list_of(const struct unit *unit, const char *name)
{
	return is_ours_alone(unit, name) ? "" : unit_property(unit->properties, name);
}

/* Whether a path has to be shown to the service. */
static bool
must_bind(const struct unit *unit, const char *path)
{
	const char *hider;
	enum unit_view view = unit_view_of(unit->properties, path, &hider);

	return view == UNIT_VIEW_COVERED ||
	       (view == UNIT_VIEW_BOUND &&
		       unit_settings_value(unit->ours, "BindReadOnlyPaths"));
}

void
unit_needs_find(const struct unit_properties *properties,
	const struct unit_settings *ours, const struct unit_settings *others,
	const char *library, const char *socket, struct unit_needs *ret_needs)
{
	const struct unit unit = {properties, ours, others};
	struct unit_needs needs = {
		.inside = unit_view_own_root(properties) &&
			  unit_property_is_set(properties, "MountAPIVFS"),
		.directory = must_bind(&unit, socket),
		.own_filter = is_ours_alone(&unit, "SystemCallFilter"),
	};
	const char *seen = needs.inside ? UNIT_NEEDS_INSIDE : library;
	const char *calls = kept(&unit, "SystemCallFilter", "SystemCallFilter");

	needs.library = needs.inside || must_bind(&unit, library);
	needs.execution =
		!unit_rules_may_execute(unit_property(properties, "NoExecPaths"),
			unit_property(properties, "ExecPaths"), seen) ||
		kept(&unit, "ExecPaths", "NoExecPaths");
	needs.unix_sockets =
		!unit_rules_allow_unix(list_of(&unit, "RestrictAddressFamilies")) ||
		kept(&unit, "RestrictAddressFamilies", "RestrictAddressFamilies");
	unit_rules_wanted_calls(
		list_of(&unit, "SystemCallFilter"), calls ? calls : "", needs.calls);
	*ret_needs = needs;
}
