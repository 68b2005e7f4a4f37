/* SPDX-License-Identifier: MIT */
/*
 * A stall, as everybody sees it: an iteration longer than the threshold, while it lasts
 * and afterwards. Plain values.
 */
#ifndef LOOPLAG_DAEMON_STALL_H
#define LOOPLAG_DAEMON_STALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The label `cause` of looplag_stalls_total, in this order. */
enum stall_cause {
	STALL_UNKNOWN,
	STALL_CPU,         /* the thread ran */
	STALL_BLOCKED,     /* it slept in a system call */
	STALL_NESTED_WAIT, /* it waited for something else, by poll() or a loop of its own */
	STALL_GIL,         /* it waited for the interpreter lock */
	STALL_STARVED,     /* it could have run, but got no CPU */
	STALL_STOPPED,     /* by a signal or a debugger */
	STALL_CAUSES
};

enum stall_language { STALL_NATIVE, STALL_PYTHON, STALL_JS };

/* One frame of a stack. Strings are owned by the sample; NULL where unknown. */
struct stall_frame {
	enum stall_language language;
	char *function;
	char *file;      /* source file */
	unsigned line;   /* 0: unknown */
	char *module;    /* native: path of the program or library */
	uint64_t offset; /* native: in the module, or the address where there is none */
};

/* What one capture has shown. */
struct stall_sample {
	uint64_t taken_ns; /* CLOCK_MONOTONIC as this process has it */
	/* Innermost first, runtime internals folded. For a loop that waits for the GIL those
	 * of the thread that holds it, if that was found. */
	struct stall_frame *frames;
	size_t count;
	bool late;      /* the JavaScript frames were taken after the native ones */
	bool waits_gil; /* seen on the loop's own thread */
	/* Why there are no frames, or fewer than there could be, as words for people; NULL
	 * when nothing is missing. Constant. */
	const char *missing;
};

struct stall {
	uint64_t id;           /* from 1 on, never used again by this daemon */
	const char *groupname; /* borrowed from the groups */
	const char *loop;
	pid_t pid, tid;      /* as we count; 0: unknown */
	uint64_t started_ns; /* CLOCK_MONOTONIC as this process has it */
	int64_t started_unix_ns;
	uint64_t length_ns; /* so far, while it is open */
	bool open;
	enum stall_cause cause;
	double shares
		[STALL_CAUSES];  /* of the part that was watched, summing up to 1; all 0
				      * when nothing is known */
	const char *system_call; /* it was blocked in, constant; NULL: unknown */
	unsigned samples;        /* captures that gave a stack */
	/* Of the sample that says most: the first with application frames. */
	struct stall_sample sample;
	uint64_t stack_id; /* the same for the same code path; 0: no stack */
};

const char *
stall_cause_name(enum stall_cause cause);
const char *
stall_language_name(enum stall_language language);

/* Free what the sample owns. */
void
stall_sample_fini(struct stall_sample *sample);

#endif
