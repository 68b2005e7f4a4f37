/* SPDX-License-Identifier: MIT */
/* See unit_view.h. */

#include "config.h"

#include "cli/unit_view.h"

#include <stddef.h>
#include <string.h>

#include "cli/unit_properties.h"
#include "cli/unit_rules.h"

#define HOMES "/home /root /run/user"

/* The setting that closes a path: what is bound below would not be seen either. */
static const char *
closed_by(const struct unit_properties *properties, const char *path)
{
	if (unit_rules_cover(unit_property(properties, "InaccessiblePaths"), path))
		return "InaccessiblePaths=";
	if (unit_property_is_set(properties, "ProtectHome") &&
		unit_rules_cover(HOMES, path))
		return "ProtectHome=";
	return NULL;
}

/* The setting that covers a path with something empty. */
static const char *
covered_by(const struct unit_properties *properties, const char *path)
{
	if (unit_rules_cover(unit_property(properties, "TemporaryFileSystem"), path))
		return "TemporaryFileSystem=";
	if (!strcmp(unit_property(properties, "ProtectHome"), "tmpfs") &&
		unit_rules_cover(HOMES, path))
		return "ProtectHome=";
	if ((unit_property_is_set(properties, "PrivateTmp") ||
		    unit_property_is_set(properties, "DynamicUser")) &&
		unit_rules_cover("/tmp /var/tmp", path))
		return "PrivateTmp=";
	return unit_view_own_root(properties);
}

enum unit_view
unit_view_of(const struct unit_properties *properties, const char *path,
	const char **ret_hider)
{
	*ret_hider = closed_by(properties, path);
	if (*ret_hider)
		return UNIT_VIEW_CLOSED;
	*ret_hider = covered_by(properties, path);
	if (!*ret_hider)
		return UNIT_VIEW_OPEN;
	return unit_rules_bind(unit_property(properties, "BindPaths"), path) ||
			       unit_rules_bind(
				       unit_property(properties, "BindReadOnlyPaths"),
				       path)
		       ? UNIT_VIEW_BOUND
		       : UNIT_VIEW_COVERED;
}

const char *
unit_view_own_root(const struct unit_properties *properties)
{
	const char *directory = unit_property(properties, "RootDirectory");

	if (*unit_property(properties, "RootImage"))
		return "RootImage=";
	return *directory && strcmp(directory, "/") != 0 ? "RootDirectory=" : NULL;
}
