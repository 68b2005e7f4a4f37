/* SPDX-License-Identifier: MIT */
/* looplag ps. */
#ifndef LOOPLAG_CLI_PS_H
#define LOOPLAG_CLI_PS_H

int
ps_main(int argc, char *argv[]);

#endif
