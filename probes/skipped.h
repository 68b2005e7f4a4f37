/* SPDX-License-Identifier: MIT */
/* Programs in which the probe registers nothing: those that run by the hundred in anybody's
 * build or script, and never have a loop. */
#ifndef LOOPLAG_PROBES_SKIPPED_H
#define LOOPLAG_PROBES_SKIPPED_H

#include <stddef.h>
#include <string.h>

/* Whether the file name of a program, without a directory, is one of them. */
static inline int
skipped_has(const char *exe)
{
	static const char *const skipped[] = {"ar", "as", "awk", "bash", "basename",
		"busybox", "c++", "cat", "cc", "cc1", "cc1plus", "chmod", "chown",
		"clang", "clang++", "collect2", "cp", "cpp", "cut", "dash", "date",
		"dirname", "env", "expr", "find", "g++", "gawk", "gcc", "git", "grep",
		"gzip", "head", "hostname", "id", "ksh", "ld", "ln", "ls", "make", "mawk",
		"mkdir", "mktemp", "mv", "nproc", "ps", "readlink", "rm", "rmdir", "sed",
		"sh", "sleep", "sort", "stat", "tail", "tar", "tee", "test", "touch",
		"tr", "true", "false", "uname", "uniq", "wc", "which", "xargs", "zsh"};

	for (size_t i = 0; i < sizeof(skipped) / sizeof(*skipped); i++)
		if (strcmp(skipped[i], exe) == 0)
			return 1;
	return 0;
}

#endif
