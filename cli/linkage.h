/* SPDX-License-Identifier: MIT */
/* Whether a C library has what the probe library asks of it. */
#ifndef LOOPLAG_CLI_LINKAGE_H
#define LOOPLAG_CLI_LINKAGE_H

#define LINKAGE_NAME_BYTES 128

/*
 * Compare the symbols that `library` must find with those that `libc` offers. Only for musl,
 * whose symbols have no versions. Returns 0, 1 with a symbol that is missing, or -errno if
 * either file cannot be read.
 */
__attribute__((warn_unused_result)) int
linkage_check(
	const char *library, const char *libc, char ret_missing[LINKAGE_NAME_BYTES]);

#endif
