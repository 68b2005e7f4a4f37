/* SPDX-License-Identifier: MIT */
/* looplag completion. */
#ifndef LOOPLAG_CLI_COMPLETION_H
#define LOOPLAG_CLI_COMPLETION_H

int
completion_main(int argc, char *argv[]);

#endif
