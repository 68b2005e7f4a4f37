/* SPDX-License-Identifier: MIT */
/*
 * The text of the file by which `looplag enable` changes a unit. Its first line says whose it
 * is, and has a check sum of all that follows, so that nothing is lost of what somebody else
 * has written there. Pure.
 */
#ifndef LOOPLAG_CLI_DROPIN_H
#define LOOPLAG_CLI_DROPIN_H

#include <stdbool.h>

/* What it sets; NULL and false: nothing. Paths have no blank, colon, quote or backslash. */
struct dropin {
	bool made_directory; /* remove that, too, in the end */
	const char *preload; /* LD_PRELOAD, with specifiers */
	const char *socket;  /* LOOPLAG_SOCKET */
	const char *execute; /* ExecPaths= */
	bool unix_sockets;   /* RestrictAddressFamilies= */
	const char *calls;   /* SystemCallFilter= */
	const char *
		bind_library; /* BindReadOnlyPaths=, perhaps with a colon: SOURCE:DESTINATION */
	const char *bind_directory; /* the socket's */
};

/* Caller frees; NULL without memory. */
char *
dropin_text(const struct dropin *dropin);

enum dropin_owner {
	DROPIN_FOREIGN, /* it was not made here */
	DROPIN_CHANGED, /* it was, and somebody has changed it */
	DROPIN_OURS,
};

enum dropin_owner
dropin_owner(const char *text);

/* Whether the directory was made for it. */
bool
dropin_made_directory(const char *text);

/* Whether LD_PRELOAD can be set to that: no control characters, a line's length. */
bool
dropin_can_hold(const char *value);

/* A word with each % doubled, which is what it means then. Caller frees; NULL without
 * memory. */
char *
dropin_plain(const char *word);

#endif
