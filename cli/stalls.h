/* SPDX-License-Identifier: MIT */
/* looplag stalls. */
#ifndef LOOPLAG_CLI_STALLS_H
#define LOOPLAG_CLI_STALLS_H

int
stalls_main(int argc, char *argv[]);

#endif
