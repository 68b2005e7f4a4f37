/* SPDX-License-Identifier: MIT */
/*
 * Can this command carry the probe? Answers from the file alone, before anything is run:
 * the dynamic loader takes a preloaded library only into some programs, and Go's programs
 * never call the functions that the probe stands in for.
 */
#ifndef LOOPLAG_CLI_CARRY_H
#define LOOPLAG_CLI_CARRY_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

enum carry_verdict {
	CARRY_YES,          /* nothing speaks against it */
	CARRY_STATIC,       /* asks for no dynamic loader */
	CARRY_SETUID,       /* changes user or group: the loader ignores LD_PRELOAD */
	CARRY_CAPABILITIES, /* gains capabilities: the same */
	CARRY_MACHINE,      /* for another machine or word size */
	CARRY_GO,           /* makes its system calls without libc */
};

/* Who will run it. */
struct carry_user {
	uid_t uid;
	gid_t gid;
	bool no_new_privileges; /* set-user-ID and capabilities have no effect */
};

/* What the kernel runs in the end. */
struct carry {
	enum carry_verdict verdict;
	bool script;   /* `program` is the interpreter of the command */
	bool dangling; /* `program` is named by a #! line, and cannot be run */
	char program[PATH_MAX];
	char loader[PATH_MAX]; /* its dynamic loader, or empty */
};

/* This process. */
struct carry_user
carry_this_user(void);

/* Judge a program by its open file. `ret_loader`, with room for PATH_MAX, gets the name of
 * its dynamic loader. What is no ELF file is believed to carry the probe. */
enum carry_verdict
carry_judge(int fd, const struct stat *st, bool file_capabilities,
	const struct carry_user *user, char *ret_loader);

/* Whether it is the dynamic loader itself, run by hand: it needs no other. */
bool
carry_is_loader(const char *path);

/* Find the command, follow #! lines to the program behind it, and judge that. Returns 0
 * or what command_find() says. */
__attribute__((warn_unused_result)) int
carry_check(const char *command, const char *search, const struct carry_user *user,
	struct carry *ret_carry);

/* Why not, as the end of a sentence that begins with the program's name. */
const char *
carry_reason(enum carry_verdict verdict);

#endif
