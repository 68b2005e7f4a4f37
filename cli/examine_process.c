/* SPDX-License-Identifier: MIT */
/* From what /proc and the segment say to findings. */

#include "config.h"

#include "cli/examine_process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/carry.h"
#include "cli/examine_program.h"
#include "cli/findings.h"
#include "cli/preload.h"
#include "cli/process_facts.h"
#include "cli/segment_look.h"
#include "probes/segment.h"

/* A process under examination. */
struct patient {
	struct findings *findings;
	const struct process_facts *facts;
	const struct surroundings *surroundings;
	const char *where;
	char root[64]; /* as it sees the files */
};

static bool
variable_is(const struct patient *patient, const char *name, const char *value)
{
	const char *is = process_facts_variable(patient->facts, name);

	return is && !strcmp(is, value);
}

/* Add a finding about the process. */
static void
add(const struct patient *patient, enum finding_level level, const char *code,
	const char *what, const char *mend)
{
	findings_add(patient->findings, level, code, patient->where, what, mend);
}

/* How it can be started anew. */
static const char *
restart(const struct patient *patient)
{
	const char *unit = patient->surroundings->unit;

	return unit ? findings_text(patient->findings, "systemctl restart %s", unit)
		    : "start it again";
}

/* Look at its program's file. */
static void
examine_file(const struct patient *patient)
{
	/* What privileges would do has been seen: the loader was told of them. */
	struct carry_user user = {.no_new_privileges = true};
	struct carry carry = {.verdict = CARRY_YES};
	char path[64];
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/exe", (int)patient->facts->pid);
	strcpy(carry.program, patient->facts->exe);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return;
	if (!fstat(fd, &st))
		carry.verdict = carry_judge(fd, &st, false, &user, carry.loader);
	close(fd);
	if (carry.verdict == CARRY_STATIC && carry_is_loader(carry.program))
		carry.verdict = CARRY_YES;
	examine_program_verdict(patient->findings, carry.program, &carry);
}

/* The library is not loaded: say why. */
static void
examine_absence(const struct patient *patient)
{
	const struct process_facts *facts = patient->facts;
	const char *preload = process_facts_variable(facts, "LD_PRELOAD");
	const struct surroundings *surroundings = patient->surroundings;
	char library[PATH_MAX];
	size_t before = findings_obstacles(patient->findings);
	bool named;

	examine_file(patient);
	if (facts->secure)
		add(patient, FINDING_OBSTACLE, "secure",
			"was started with more privileges than its caller had, so the "
			"loader ignored LD_PRELOAD",
			"take the set-user-ID bit and the capabilities from the file, "
			"and "
			"let its unit give them (User=, AmbientCapabilities=)");
	if (findings_obstacles(patient->findings) > before)
		return;
	named = preload && preload_find_in(preload, library);
	if (named || !preload_find_own(library))
		if (*library == '/')
			examine_program_library(
				patient->findings, library, patient->root, &facts->user);
	if (findings_obstacles(patient->findings) > before)
		return;
	if (named)
		add(patient, FINDING_OBSTACLE, "not-loaded",
			findings_text(patient->findings,
				"was told to load %s, and the loader did not", library),
			"the loader has said why on its standard error, where the "
			"journal of a unit has it: journalctl -g 'cannot be preloaded'");
	else if (surroundings->unit_preloads)
		add(patient, FINDING_WARNING, "not-restarted",
			"was started without the probe, which its unit names now",
			restart(patient));
	else
		add(patient, FINDING_WARNING, "not-preloaded",
			"was started without the probe",
			surroundings->unit ? NULL
					   : "start it by 'looplag run', or with "
					     "liblooplag.so in LD_PRELOAD");
}

/* The library is there and has made no segment: say why. */
static void
examine_silence(const struct patient *patient)
{
	const struct process_facts *facts = patient->facts;

	if (variable_is(patient, "LOOPLAG_DISABLE", "1"))
		add(patient, FINDING_OBSTACLE, "disabled",
			"has LOOPLAG_DISABLE=1 in its environment: the probe is switched "
			"off",
			"take that away and start it again");
	else if (examine_program_skipped(patient->findings, facts->name))
		return;
	else if (facts->secure)
		add(patient, FINDING_OBSTACLE, "secure",
			"was started with more privileges than its caller had: the probe "
			"stays switched off",
			"take the set-user-ID bit and the capabilities from the file, "
			"and "
			"let its unit give them (User=, AmbientCapabilities=)");
	else if (facts->file_limit < segment_size(SEGMENT_SLOTS_DEFAULT))
		add(patient, FINDING_OBSTACLE, "file-limit",
			findings_text(patient->findings,
				"may make files of %" PRIu64
				" bytes only, and the probe needs %" PRIu64,
				facts->file_limit, segment_size(SEGMENT_SLOTS_DEFAULT)),
			"raise RLIMIT_FSIZE (LimitFSIZE= in a unit)");
	else
		add(patient, FINDING_OBSTACLE, "no-segment",
			facts->filters_calls
				? "has the probe loaded, which could not start: a filter "
				  "of system calls stands in its way"
				: "has the probe loaded, which could not start: the "
				  "memory for it was refused",
			"it needs memfd_create(2), 1 MiB of memory, Linux 4.14 and "
			"LOOPLAG_SOCKET of less than 108 bytes");
}

/* Whether its daemon has what it records. */
static void
examine_connection(const struct patient *patient, const struct segment_look *look)
{
	const char *socket = process_facts_variable(patient->facts, "LOOPLAG_SOCKET");
	enum segment_holder holder = segment_find_holder(look->inode);
	char part[PATH_MAX];
	enum reach_result reach;

	if (!socket)
		socket = RUNSTATEDIR "/looplag/probe.sock";
	if (holder == SEGMENT_HELD ||
		(holder == SEGMENT_HOLDER_UNKNOWN && patient->surroundings->listens))
		return;
	reach = reach_check(patient->root, socket, &patient->facts->user, W_OK, part);
	if (reach == REACH_MISSING || reach == REACH_DENIED)
		findings_add(patient->findings, FINDING_WARNING, "socket-unreachable",
			socket,
			findings_text(patient->findings, "cannot be reached by %s: %s %s",
				patient->where, part,
				reach == REACH_MISSING ? "is not there for it"
						       : "does not let its user in"),
			reach == REACH_MISSING
				? "start looplagd.socket; where the process sees other "
				  "files, BindPaths= of its unit brings it there"
				: findings_text(patient->findings, "chmod o+%s %s",
					  strcmp(part, socket) ? "x" : "rw", part));
	else if (patient->surroundings->listens)
		add(patient, FINDING_WARNING, "not-registered",
			"records, and no looplagd has its record",
			look->runtime && !variable_is(patient, "LOOPLAG_HELPER", "0")
				? "what is restricted is told above; else start it again"
				: findings_text(patient->findings,
					  "%s; with LOOPLAG_HELPER=1 it will register "
					  "again by itself after a new daemon has come",
					  restart(patient)));
}

/* The probe records: say what. */
static void
examine_record(const struct patient *patient, const struct segment_look *look)
{
	findings_set_carries(patient->findings);
	if (look->loops)
		add(patient, FINDING_NOTE, "loops",
			findings_text(patient->findings, "has %u event loop%s",
				look->loops, look->loops == 1 ? "" : "s"),
			NULL);
	else if (look->other_waits)
		add(patient, FINDING_WARNING, "no-loop",
			findings_text(patient->findings,
				"has no event loop yet: %" PRIu64
				" waits, all too few at one place, or for one descriptor",
				look->other_waits),
			"wait until it has work; a loop of its own kind can say so by "
			"<looplag.h>");
	else
		add(patient, FINDING_WARNING, "no-loop",
			"has no event loop: it has not waited twice in epoll, poll or "
			"select by the C library",
			"give it work and look again; a loop that waits in io_uring or "
			"by "
			"system calls of its own can say so by <looplag.h>");
	examine_connection(patient, look);
}

/* What is worth a word, whether or not it carries the probe. */
static void
examine_rest(const struct patient *patient)
{
	const struct process_facts *facts = patient->facts;

	examine_program_preload(patient->findings, patient->where,
		process_facts_variable(facts, "LD_PRELOAD"));
	if (facts->library_deleted)
		findings_add(patient->findings, FINDING_WARNING, "old-library",
			facts->library,
			findings_text(patient->findings,
				"is no longer the file that %s has loaded",
				patient->where),
			restart(patient));
	if (facts->uses_io_uring)
		add(patient, FINDING_WARNING, "io_uring",
			"uses io_uring: what it waits for there alone is not seen",
			"the program can say when it waits by <looplag.h>; libuv: "
			"UV_USE_IO_URING=0");
	if (*facts->apparmor)
		add(patient, FINDING_WARNING, "apparmor",
			findings_text(patient->findings,
				"is confined by AppArmor's profile %s", facts->apparmor),
			findings_text(patient->findings,
				"the profile must allow 'mr' on liblooplag*.so, 'rw' on "
				"%s and 'r' on the doorbell beside it",
				patient->surroundings->socket));
}

int
examine_process(
	struct findings *findings, pid_t pid, const struct surroundings *surroundings)
{
	struct patient patient = {.findings = findings, .surroundings = surroundings};
	struct process_facts facts;
	struct segment_look look;
	int r = process_facts_read(pid, &facts);

	if (r)
		return r;
	patient.facts = &facts;
	patient.where = findings_text(findings, "%s (process %d)", facts.name, (int)pid);
	snprintf(patient.root, sizeof patient.root, "/proc/%d/root", (int)pid);
	if (!*facts.library) {
		examine_absence(&patient);
	} else if (!facts.segment_count) {
		examine_silence(&patient);
	} else {
		r = segment_look(&facts, &look);
		if (!r)
			examine_record(&patient, &look);
		else if (r == -ENOENT)
			add(&patient, FINDING_WARNING, "other-version",
				"has a segment of another version of looplag",
				restart(&patient));
	}
	examine_rest(&patient);
	process_facts_fini(&facts);
	return r == -ENOENT ? 0 : r;
}
