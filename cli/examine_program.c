/* SPDX-License-Identifier: MIT */
/* What the files say: the program, its loader, the probe library. Nothing is run. */

#include "config.h"

#include "cli/examine_program.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/findings.h"
#include "cli/linkage.h"
#include "cli/preload.h"
#include "probes/skipped.h"

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* What to do about a verdict, and its name. */
static const struct advice {
	const char *code, *mend;
} advices[] = {
	[CARRY_STATIC] = {"static", "build it without -static"},
	[CARRY_SETUID] = {"setuid",
		"take the bit from a copy of it and start that as the "
		"user it needs, as User= of a unit does"},
	[CARRY_CAPABILITIES] = {"capabilities",
		"take them from the file (setcap -r) and give them by "
		"AmbientCapabilities= of a unit, which the loader does not mind"},
	[CARRY_MACHINE] = {"machine",
		"preload a liblooplag.so that was built for that machine"},
	[CARRY_GO] = {"go", "its own runtime/metrics tell of /sched/latencies:seconds"},
};

void
examine_program_verdict(
	struct findings *findings, const char *where, const struct carry *carry)
{
	const char *what = carry_reason(carry->verdict);

	if (carry->script)
		findings_add(findings, FINDING_NOTE, "script", where,
			findings_text(
				findings, "is a script that %s runs", carry->program),
			NULL);
	if (carry->verdict != CARRY_YES)
		findings_add(findings, FINDING_OBSTACLE, advices[carry->verdict].code,
			carry->program, what, advices[carry->verdict].mend);
}

/* Look at the loader that the program names. */
static void
judge_loader(struct findings *findings, const struct carry *carry, const char *library)
{
	const char *name = base_name(carry->loader);
	char missing[LINKAGE_NAME_BYTES];

	if (!*name)
		return;
	if (access(carry->loader, R_OK)) {
		findings_add(findings, FINDING_OBSTACLE, "loader", carry->loader,
			findings_text(findings, "cannot be read, and %s needs it",
				carry->program),
			"install the C library of that program");
	} else if (!strncmp(name, "ld-musl", 7)) {
		if (linkage_check(library, carry->loader, missing) == 1)
			findings_add(findings, FINDING_OBSTACLE, "musl", library,
				findings_text(findings, "needs %s, which %s lacks",
					missing, carry->loader),
				"build the library on an older system, or with musl-gcc");
	} else if (strncmp(name, "ld-linux", 8) != 0 &&
		   strncmp(name, "ld64.so", 7) != 0 && strncmp(name, "ld.so", 5) != 0) {
		findings_add(findings, FINDING_WARNING, "libc", carry->loader,
			"is the loader of neither glibc nor musl: the probe was never "
			"tried with it",
			NULL);
	}
}

int
examine_program(struct findings *findings, const char *command, const char *search,
	const struct carry_user *user, const char *library)
{
	struct carry carry;
	int r = carry_check(command, search, user, &carry);

	if (r)
		return r;
	if (carry.dangling)
		findings_add(findings, FINDING_OBSTACLE, "interpreter", command,
			findings_text(findings, "is a script for %s, which cannot be run",
				carry.program),
			"install that, or mend the #! line");
	examine_program_verdict(findings, carry.script ? command : carry.program, &carry);
	if (carry.verdict == CARRY_YES)
		judge_loader(findings, &carry, library);
	/* A script has its own name, whoever runs it. */
	(void)examine_program_skipped(findings, base_name(command));
	return 0;
}

void
examine_program_library(struct findings *findings, const char *library, const char *root,
	const struct reach_user *user)
{
	char part[PATH_MAX];

	switch (reach_check(root, library, user, R_OK | X_OK, part)) {
	case REACH_MISSING:
		findings_add(findings, FINDING_OBSTACLE, "library-missing", library,
			findings_text(
				findings, "is not there for the program: no %s", part),
			"install it where the program sees it");
		break;
	case REACH_DENIED:
		findings_add(findings, FINDING_OBSTACLE, "library-unreadable", library,
			findings_text(findings,
				"cannot be read by user %u, for the mode "
				"of %s",
				(unsigned)user->uid, part),
			findings_text(findings, "chmod o+%s %s",
				strcmp(part, library) ? "x" : "r", part));
		break;
	case REACH_NOEXEC:
		findings_add(findings, FINDING_OBSTACLE, "noexec", library,
			"lies where nothing may be executed, so the loader cannot map it",
			findings_text(findings,
				"mount that without noexec; in a unit, "
				"ExecPaths=%s",
				library));
		break;
	case REACH_YES:
		break;
	}
}

bool
examine_program_skipped(struct findings *findings, const char *name)
{
	if (!skipped_has(name))
		return false;
	findings_add(findings, FINDING_WARNING, "skipped", name,
		"is a small tool, in which the probe registers nothing",
		"look at the program that it starts");
	return true;
}

void
examine_program_preload(struct findings *findings, const char *where, const char *preload)
{
	char other[PATH_MAX];

	if (preload && preload_find_other(preload, other))
		findings_add(findings, FINDING_NOTE, "preload", where,
			findings_text(findings, "preloads %s, too", other), NULL);
}
