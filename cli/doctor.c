/* SPDX-License-Identifier: MIT */
/* looplag doctor: finds out what the word names, has that examined, and prints what was
 * found. */

#include "config.h"

#include "cli/doctor.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/doctor_options.h"
#include "cli/examine_daemon.h"
#include "cli/examine_process.h"
#include "cli/examine_program.h"
#include "cli/examine_unit.h"
#include "cli/findings.h"
#include "cli/preload.h"
#include "cli/style.h"
#include "cli/unit_processes.h"
#include "daemon/identity.h"

enum kind { PROCESS, UNIT, COMMAND };

static const char *const kind_names[] = {
	[PROCESS] = "process", [UNIT] = "unit", [COMMAND] = "command"};

/* What the word names. Without a command of that name it may be a unit's, whose whole name
 * is ret_unit then. */
static enum kind
kind_of(const char *word, char ret_unit[IDENTITY_NAME_BYTES])
{
	size_t length = strlen(word);
	char path[PATH_MAX];

	if (length < 10 && strspn(word, "0123456789") == length)
		return PROCESS;
	snprintf(ret_unit, IDENTITY_NAME_BYTES, "%s", word);
	if (!strchr(word, '/') && length > 8 && !strcmp(word + length - 8, ".service"))
		return UNIT;
	if (strchr(word, '/') || !command_find(word, getenv("PATH"), path))
		return COMMAND;
	snprintf(ret_unit, IDENTITY_NAME_BYTES, "%s.service", word);
	return UNIT;
}

/* Say that there is nothing to examine. */
static int
nothing(const char *what, const char *word, const char *why)
{
	fprintf(stderr, "looplag: %s %s: %s\n", what, word, why);
	return DOCTOR_USAGE;
}

static int
doctor_process(struct findings *findings, const char *word, struct surroundings *around)
{
	char unit[IDENTITY_NAME_BYTES];
	pid_t pid = (pid_t)strtol(word, NULL, 10);
	struct unit_facts facts = {0};
	int r;

	if (!identity_unit(pid, unit) &&
		!examine_unit(findings, unit, around->socket, NULL, &facts)) {
		around->unit = unit;
		around->unit_preloads = facts.preloads;
	}
	r = examine_process(findings, pid, around);
	if (r == -EACCES)
		return nothing("cannot look into process", word,
			"that is not permitted; run as root, with CAP_SYS_PTRACE");
	if (r == -ENOEXEC)
		return nothing("cannot look into process", word,
			"it is the kernel's own, or dead");
	return r ? nothing("no process", word, "it is not there") : 0;
}

/* Tell of what the main process of a unit has started. */
static void
tell_of_others(struct findings *findings, const char *unit, pid_t main_pid)
{
	struct unit_processes others = unit_processes_look(unit, main_pid);

	if (!others.count)
		return;
	findings_add(findings, FINDING_NOTE, "others", unit,
		findings_text(findings,
			"has %u other process%s, of which %u carr%s the probe, with %u "
			"event loop%s",
			others.count, others.count == 1 ? "" : "es", others.carrying,
			others.carrying == 1 ? "ies" : "y", others.loops,
			others.loops == 1 ? "" : "s"),
		NULL);
	if (others.carrying)
		findings_set_carries(findings);
}

static int
doctor_unit(struct findings *findings, const char *word, const char *unit,
	struct surroundings *around)
{
	struct unit_facts facts = {0};
	int r = examine_unit(findings, unit, around->socket, NULL, &facts);

	if (r == -EIO)
		return nothing("no command, and no unit that could be asked for", word,
			"systemctl does not answer");
	if (r)
		return nothing("no command and no unit", word, "there is none loaded");
	around->unit = unit;
	around->unit_preloads = facts.preloads;
	if (!facts.main_pid)
		return 0;
	r = examine_process(findings, facts.main_pid, around);
	if (r == -EACCES)
		findings_add(findings, FINDING_NOTE, "unseen", unit,
			"runs, and its process may not be looked into", "run as root");
	tell_of_others(findings, unit, facts.main_pid);
	return 0;
}

static int
doctor_command(struct findings *findings, const char *word)
{
	struct carry_user user = carry_this_user();
	struct reach_user reach = reach_this_user();
	const char *disabled = getenv("LOOPLAG_DISABLE");
	char library[PATH_MAX];
	int r = preload_find_own(library);

	if (r == -EINVAL)
		findings_add(findings, FINDING_OBSTACLE, "library-name", library,
			"has a blank or a colon in its path, which LD_PRELOAD cannot "
			"hold",
			"name a copy elsewhere in LOOPLAG_LIBRARY");
	else if (r)
		findings_add(findings, FINDING_OBSTACLE, "library", library,
			"cannot be read", "install it, or name it in LOOPLAG_LIBRARY");
	else
		examine_program_library(findings, library, "/", &reach);
	if (disabled && !strcmp(disabled, "1"))
		findings_add(findings, FINDING_OBSTACLE, "disabled", "the environment",
			"has LOOPLAG_DISABLE=1: the probe is switched off",
			"unset LOOPLAG_DISABLE");
	examine_program_preload(findings, "the environment", getenv("LD_PRELOAD"));
	r = examine_program(findings, word, getenv("PATH"), &user, library);
	return r ? nothing("cannot run", word, strerror(-r)) : 0;
}

int
doctor_main(int argc, char *argv[])
{
	struct doctor_options options;
	struct surroundings around;
	char unit[IDENTITY_NAME_BYTES];
	struct findings *findings;
	const char *word;
	struct style style;
	enum kind kind;
	int status;

	if (doctor_options_parse(argc, argv, &options, &status))
		return status;
	word = *options.argv;
	kind = kind_of(word, unit);
	findings = findings_new(kind_names[kind], kind == UNIT ? unit : word);
	if (!findings) {
		fputs("looplag: out of memory\n", stderr);
		return DOCTOR_USAGE;
	}
	around = (struct surroundings){.socket = options.socket};
	around.listens = examine_daemon(
		findings, kind == COMMAND ? FINDING_NOTE : FINDING_WARNING, &options);
	status = kind == PROCESS ? doctor_process(findings, word, &around)
		 : kind == UNIT  ? doctor_unit(findings, word, unit, &around)
				 : doctor_command(findings, word);
	if (!status) {
		style = style_of(stdout);
		if (options.json)
			findings_print_json(findings, stdout);
		else
			findings_print(findings, &style, stdout);
		status = findings_obstacles(findings) ? DOCTOR_CANNOT : 0;
		if (fflush(stdout))
			status = DOCTOR_CANNOT;
	}
	findings_free(findings);
	return status;
}
