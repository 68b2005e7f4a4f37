/* SPDX-License-Identifier: MIT */
/* looplag check-config. */
#ifndef LOOPLAG_CLI_CHECK_CONFIG_H
#define LOOPLAG_CLI_CHECK_CONFIG_H

int
check_config_main(int argc, char *argv[]);

#endif
