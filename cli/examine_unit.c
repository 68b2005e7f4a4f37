/* SPDX-License-Identifier: MIT */
/* Reads the settings of a unit as systemd has them, and judges each that can stand between
 * the probe and its host, or between the probe and its daemon. */

#include "config.h"

#include "cli/examine_unit.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/examine_program.h"
#include "cli/findings.h"
#include "cli/preload.h"
#include "cli/unit_environment.h"
#include "cli/unit_properties.h"
#include "cli/unit_rules.h"
#include "cli/unit_view.h"
#include "probes/segment.h"

#define NOBODY 65534

/* A unit under examination. */
struct patient {
	struct findings *findings;
	const struct unit_properties *properties;
	const char *unit, *socket;
	char library[PATH_MAX]; /* the one that it preloads, or would */
	bool chosen;            /* ... whatever it preloads */
	bool preloads;
};

static const char *
property(const struct patient *patient, const char *name)
{
	return unit_property(patient->properties, name);
}

/* Add a finding about the unit. */
static void
add(const struct patient *patient, enum finding_level level, const char *code,
	const char *what, const char *mend)
{
	findings_add(patient->findings, level, code, patient->unit, what, mend);
}

/* What the unit sets a variable to, and where. */
static bool
find_variable(const struct patient *patient, const char *name, char *ret_where,
	char *ret_value, size_t size)
{
	return unit_environment_find(
		patient->properties, patient->unit, name, ret_where, ret_value, size);
}

/* Look for the probe in the unit's environment. */
static void
examine_environment(struct patient *patient)
{
	char value[8192], where[PATH_MAX], ours[PATH_MAX];

	if (find_variable(patient, "LD_PRELOAD", where, value, sizeof value) && *value) {
		patient->preloads = preload_find_in(value, ours);
		if (patient->preloads && !patient->chosen)
			strcpy(patient->library, ours);
		examine_program_preload(patient->findings, where, value);
		if (!patient->preloads)
			findings_add(patient->findings, FINDING_WARNING, "other-preload",
				where,
				findings_text(patient->findings,
					"sets LD_PRELOAD=%s, without the probe", value),
				findings_text(patient->findings,
					"set both: LD_PRELOAD=%s:%s", value,
					patient->library));
	} else {
		add(patient, FINDING_WARNING, "no-preload", "does not set LD_PRELOAD yet",
			findings_text(
				patient->findings, "looplag enable %s", patient->unit));
	}
	if (find_variable(patient, "LOOPLAG_DISABLE", where, value, sizeof value) &&
		!strcmp(value, "1"))
		findings_add(patient->findings, FINDING_OBSTACLE, "disabled", where,
			"sets LOOPLAG_DISABLE=1: the probe is switched off",
			"take that line away");
	if (unit_rules_have(property(patient, "UnsetEnvironment"), "LD_PRELOAD"))
		add(patient, FINDING_OBSTACLE, "unset", "unsets LD_PRELOAD",
			"take it out of UnsetEnvironment=");
	if (unit_property_is_set(patient->properties, "NeedDaemonReload"))
		add(patient, FINDING_WARNING, "not-reloaded",
			"has settings on disk that systemd has not read",
			"systemctl daemon-reload");
}

/* Who the service runs as. Unknown users are taken for nobody. */
static void
find_user(const struct patient *patient, struct reach_user *ret_user,
	struct carry_user *ret_carrier)
{
	const char *name = property(patient, "User"), *group = property(patient, "Group");
	bool dynamic = unit_property_is_set(patient->properties, "DynamicUser");
	const struct passwd *passwd = *name ? getpwnam(name) : NULL;
	const struct group *entry = *group ? getgrnam(group) : NULL;
	int count = REACH_GROUPS - 1;
	char *end;

	*ret_user = (struct reach_user){
		.uid = *name || dynamic ? NOBODY : 0,
		.groups = {*name || dynamic ? NOBODY : 0},
		.group_count = 1,
	};
	if (*name && !passwd && strtoul(name, &end, 10) && !*end)
		passwd = getpwuid((uid_t)strtoul(name, NULL, 10));
	if (passwd) {
		ret_user->uid = passwd->pw_uid;
		ret_user->groups[0] = passwd->pw_gid;
		if (getgrouplist(passwd->pw_name, passwd->pw_gid, ret_user->groups + 1,
			    &count) >= 0)
			ret_user->group_count += (size_t)count;
	}
	if (entry)
		ret_user->groups[0] = entry->gr_gid;
	*ret_carrier = (struct carry_user){ret_user->uid, ret_user->groups[0],
		unit_property_is_set(patient->properties, "NoNewPrivileges")};
}

/* The program that it starts. Returns whether it has one; ret_path has room for PATH_MAX. */
static bool
find_start(const struct patient *patient, char *ret_path)
{
	const char *start = strstr(property(patient, "ExecStart"), "path=");
	size_t length;

	if (!start)
		return false;
	start += strlen("path=");
	length = strcspn(start, ";");
	while (length > 0 && start[length - 1] == ' ')
		length--;
	if (length >= PATH_MAX)
		return false;
	memcpy(ret_path, start, length);
	ret_path[length] = '\0';
	return true;
}

/* Look at what it starts. */
static void
examine_start(const struct patient *patient, const struct carry_user *user)
{
	char path[PATH_MAX];

	if (find_start(patient, path) &&
		examine_program(patient->findings, path, NULL, user, patient->library))
		findings_add(patient->findings, FINDING_OBSTACLE, "no-program", path,
			findings_text(patient->findings,
				"is what %s starts, and it cannot", patient->unit),
			"install it, or mend ExecStart=");
}

/* Whether the service can see and load the library. */
static void
examine_library(const struct patient *patient, const struct reach_user *user)
{
	const char *root = property(patient, "RootDirectory"), *hider;
	enum unit_view view = unit_view_of(patient->properties, patient->library, &hider);

	if (*patient->library != '/')
		return;
	if (view == UNIT_VIEW_COVERED && *property(patient, "RootImage")) {
		add(patient, FINDING_WARNING, "root-image",
			"runs in an image of its own, in which nothing was looked at",
			findings_text(patient->findings,
				"the image must have %s and see %s (BindPaths=)",
				patient->library, patient->socket));
		return;
	}
	if (view == UNIT_VIEW_CLOSED || (view == UNIT_VIEW_COVERED && !*root))
		findings_add(patient->findings, FINDING_OBSTACLE, "library-hidden",
			patient->library,
			findings_text(patient->findings, "is hidden from %s by %s",
				patient->unit, hider),
			"install the library below /usr/lib and name that");
	else if (view != UNIT_VIEW_BOUND)
		examine_program_library(
			patient->findings, patient->library, *root ? root : "/", user);
	if (!unit_rules_may_execute(property(patient, "NoExecPaths"),
		    property(patient, "ExecPaths"), patient->library))
		add(patient, FINDING_OBSTACLE, "noexec-paths",
			findings_text(patient->findings,
				"lets nothing be executed where %s lies (NoExecPaths=)",
				patient->library),
			findings_text(patient->findings,
				"add ExecPaths=%s to the drop-in", patient->library));
}

/* Whether the unit lets no helper be started. */
static bool
refuses_helper(const struct patient *patient)
{
	char where[PATH_MAX], value[16];

	return find_variable(patient, "LOOPLAG_HELPER", where, value, sizeof value) &&
	       !strcmp(value, "0");
}

/* Whether a filter lets the probe make its system calls. If not, the probe finds that out
 * and does not make them. */
static void
examine_calls(const struct patient *patient)
{
	const char *filter = property(patient, "SystemCallFilter");
	const char *at_start = unit_rules_forbidden_call(filter, false);
	const char *in_helper = unit_rules_forbidden_call(filter, true);

	if (at_start)
		add(patient, FINDING_OBSTACLE, "call-filter",
			findings_text(patient->findings,
				"has a SystemCallFilter= without %s, without which the "
				"probe stays switched off",
				at_start),
			findings_text(patient->findings,
				"add SystemCallFilter=%s to the drop-in", at_start));
	else if (in_helper && !refuses_helper(patient))
		add(patient, FINDING_WARNING, "helper-filter",
			findings_text(patient->findings,
				"has a SystemCallFilter= without %s, without which no "
				"stacks are taken in Node.js and Python",
				in_helper),
			findings_text(patient->findings,
				"add SystemCallFilter=%s to the drop-in", in_helper));
}

/* What the sandbox forbids the probe. */
static void
examine_sandbox(const struct patient *patient)
{
	const char *profile = property(patient, "AppArmorProfile");
	const char *hider;
	enum unit_view view = unit_view_of(patient->properties, patient->socket, &hider);
	const char *limit = property(patient, "LimitFSIZE");

	if (!unit_rules_allow_unix(property(patient, "RestrictAddressFamilies")))
		add(patient, FINDING_OBSTACLE, "families",
			"has a RestrictAddressFamilies= without AF_UNIX: the probe would "
			"record, and looplagd never hear of it",
			"add RestrictAddressFamilies=AF_UNIX to the drop-in");
	examine_calls(patient);
	/* Of an image it was said already. */
	if (view == UNIT_VIEW_CLOSED ||
		(view == UNIT_VIEW_COVERED && !*property(patient, "RootImage")))
		findings_add(patient->findings, FINDING_OBSTACLE, "socket-hidden",
			patient->socket,
			findings_text(patient->findings, "is hidden from %s by %s",
				patient->unit, hider),
			view == UNIT_VIEW_CLOSED
				? findings_text(
					  patient->findings, "take it out of %s", hider)
				: "add BindReadOnlyPaths= with its directory to the "
				  "drop-in");
	if (*limit && strcmp(limit, "infinity") != 0 &&
		strtoull(limit, NULL, 10) < segment_size(SEGMENT_SLOTS_DEFAULT))
		add(patient, FINDING_OBSTACLE, "file-limit",
			findings_text(patient->findings,
				"may make files of %s bytes only, and the probe needs "
				"more",
				limit),
			"add LimitFSIZE=2M to the drop-in");
	if (*profile)
		add(patient, FINDING_WARNING, "apparmor",
			findings_text(patient->findings,
				"is confined by AppArmor's profile %s",
				profile + strspn(profile, "-")),
			findings_text(patient->findings,
				"the profile must allow 'mr' on %s, 'rw' on %s and 'r' "
				"on "
				"the doorbell beside it",
				patient->library, patient->socket));
}

int
examine_unit(struct findings *findings, const char *unit, const char *socket,
	const char *library, struct unit_facts *ret_facts)
{
	static const char *const names[] = {"AppArmorProfile", "BindPaths",
		"BindReadOnlyPaths", "DynamicUser", "Environment", "EnvironmentFiles",
		"ExecPaths", "ExecStart", "Group", "InaccessiblePaths", "LimitFSIZE",
		"LoadState", "MainPID", "NeedDaemonReload", "NoExecPaths",
		"NoNewPrivileges", "PrivateTmp", "ProtectHome", "RestrictAddressFamilies",
		"RootDirectory", "RootImage", "SystemCallFilter", "TemporaryFileSystem",
		"UnsetEnvironment", "User", NULL};
	struct patient patient = {.findings = findings, .unit = unit, .socket = socket};
	struct unit_properties *properties;
	struct carry_user carrier;
	struct reach_user user;
	int r = unit_properties_read(unit, names, &properties);

	if (r)
		return -EIO;
	patient.properties = properties;
	if (strcmp(property(&patient, "LoadState"), "loaded") != 0) {
		unit_properties_free(properties);
		return -ENOENT;
	}
	patient.chosen = library;
	if (library)
		snprintf(patient.library, sizeof patient.library, "%s", library);
	else if (preload_find_own(patient.library) == -ENOENT)
		findings_add(findings, FINDING_OBSTACLE, "library", patient.library,
			"cannot be read", "install it, or name it in LOOPLAG_LIBRARY");
	examine_environment(&patient);
	find_user(&patient, &user, &carrier);
	if (!*property(&patient, "RootDirectory") && !*property(&patient, "RootImage"))
		examine_start(&patient, &carrier);
	examine_library(&patient, &user);
	examine_sandbox(&patient);
	ret_facts->preloads = patient.preloads;
	ret_facts->main_pid = (pid_t)strtol(property(&patient, "MainPID"), NULL, 10);
	unit_properties_free(properties);
	return 0;
}
