/* SPDX-License-Identifier: MIT */
/* looplag run: start a command with the probe and report how late its loops were. */
#ifndef LOOPLAG_CLI_RUN_H
#define LOOPLAG_CLI_RUN_H

/* argv[0] is "run". Returns the exit status, or becomes the command. */
int
run_main(int argc, char *argv[]);

#endif
