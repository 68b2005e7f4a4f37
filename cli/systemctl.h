/* SPDX-License-Identifier: MIT */
/* Runs systemctl, which is there wherever systemd is. */
#ifndef LOOPLAG_CLI_SYSTEMCTL_H
#define LOOPLAG_CLI_SYSTEMCTL_H

/* What it prints for these arguments (argv[0] is "systemctl"), with two zeros at its end;
 * caller frees. Returns 0, -ENOENT if there is none, -EIO if it fails, or another -errno. */
__attribute__((warn_unused_result)) int
systemctl_ask(char *const argv[], char **ret_text);

/* Have it do something to what the third word names (NULL: to all); what it complains of is
 * said. Returns as above. */
__attribute__((warn_unused_result)) int
systemctl_do(const char *verb, const char *name);

#endif
