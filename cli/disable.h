/* SPDX-License-Identifier: MIT */
#ifndef LOOPLAG_CLI_DISABLE_H
#define LOOPLAG_CLI_DISABLE_H

/* The verb: argv[0] is its name. Returns the exit status. */
int
disable_main(int argc, char *argv[]);

#endif
