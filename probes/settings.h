/* SPDX-License-Identifier: MIT */
/*
 * What the environment of a target asks for, read once at the start of the process.
 *
 *	LOOPLAG_DISABLE=1   no probe at all
 *	LOOPLAG_SOCKET      the daemon's socket
 *	LOOPLAG_GROUP       the group's name, unless it is a systemd unit's
 *	LOOPLAG_SLOTS       loops in one family of processes, 64 to 1024
 *	LOOPLAG_HELPER=0|1  never, or always, a helper thread; otherwise in V8 and CPython
 *	LOOPLAG_STACKS=0    nobody takes stacks of stalled loops, and the process never gets a
 *	                    signal
 *	LOOPLAG_INHERIT=0   programs that this one executes get no probe
 */
#ifndef LOOPLAG_PROBES_SETTINGS_H
#define LOOPLAG_PROBES_SETTINGS_H

#include <stdint.h>

#include "probes/segment.h"

#define SETTINGS_PATH_BYTES 108 /* of a sockaddr_un */

enum settings_helper {
	SETTINGS_HELPER_AUTO,
	SETTINGS_HELPER_NEVER,
	SETTINGS_HELPER_ALWAYS
};

struct settings {
	char socket[SETTINGS_PATH_BYTES];
	char group[SEGMENT_NAME_BYTES];
	char exe[SEGMENT_NAME_BYTES]; /* file name of the program, no directory */
	uint32_t slots;
	enum settings_helper helper;
	int no_stacks;
};

/* Read them. Returns 0, or -1: no probe in this process (switched off, a program with
 * privileges of its own, or a shell or compiler, which has no loop worth a word). Takes
 * the probe out of LD_PRELOAD if children shall have none. Makes no system call. */
int
settings_read(struct settings *ret_settings);

/* Fill in the defaults, for a program that embeds the probe. */
void
settings_default(struct settings *ret_settings);

#endif
