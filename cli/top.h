/* SPDX-License-Identifier: MIT */
/* looplag top. */
#ifndef LOOPLAG_CLI_TOP_H
#define LOOPLAG_CLI_TOP_H

int
top_main(int argc, char *argv[]);

#endif
