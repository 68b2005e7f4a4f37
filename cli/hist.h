/* SPDX-License-Identifier: MIT */
/* looplag hist. */
#ifndef LOOPLAG_CLI_HIST_H
#define LOOPLAG_CLI_HIST_H

int
hist_main(int argc, char *argv[]);

#endif
