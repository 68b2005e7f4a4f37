/* SPDX-License-Identifier: MIT */
/* Names of services as an administrator gives them, and the files that belong to them. */
#ifndef LOOPLAG_CLI_UNIT_NAME_H
#define LOOPLAG_CLI_UNIT_NAME_H

#include <stdbool.h>

#define UNIT_NAME_BYTES 256

/* The files that may be ours: the second one where drop-ins of others, such as override.conf,
 * come behind the first and would undo it. */
#define UNIT_NAME_DROPIN "50-looplag.conf"
#define UNIT_NAME_LAST_DROPIN "zz-looplag.conf"

/* Complete the name of a service: what has no ending gets .service. Returns 0, or -EINVAL if
 * it is no service, or no name. Pure. */
__attribute__((warn_unused_result)) int
unit_name_complete(const char *word, char ret_name[UNIT_NAME_BYTES]);

/* Whether it is a template, NAME@.service. Pure. */
bool
unit_name_is_template(const char *name);

/* Put something between the @ of a template and its ending. Returns 0 or -ENAMETOOLONG.
 * Pure. */
__attribute__((warn_unused_result)) int
unit_name_of_instance(
	const char *name, const char *instance, char ret_name[UNIT_NAME_BYTES]);

/* Whether a path is that of a drop-in that can be ours. Pure. */
bool
unit_name_is_dropin(const char *path);

#endif
