/* SPDX-License-Identifier: MIT */
#ifndef LOOPLAG_CLI_DOCTOR_H
#define LOOPLAG_CLI_DOCTOR_H

/* The verb: argv[0] is its name. Returns the exit status. */
int
doctor_main(int argc, char *argv[]);

#endif
