/* SPDX-License-Identifier: MIT */
#ifndef LOOPLAG_CLI_ENABLE_H
#define LOOPLAG_CLI_ENABLE_H

/* The verb: argv[0] is its name. Returns the exit status. */
int
enable_main(int argc, char *argv[]);

#endif
