/* SPDX-License-Identifier: MIT */
/* Default names; see naming.h. */

#include "config.h"

#include "daemon/naming.h"

#include <string.h>
#include <unistd.h>

void
naming_group(const struct naming *naming, const struct reception_guest *guest,
	char ret_name[IDENTITY_NAME_BYTES])
{
	char unit[IDENTITY_NAME_BYTES] = "", command[IDENTITY_NAME_BYTES] = "";
	const struct segment_hello *hello = &guest->hello;

	if (naming->own_groupname && guest->pid == getpid()) {
		identity_clean(naming->own_groupname, IDENTITY_NAME_BYTES, ret_name);
		return;
	}
	if (naming->ignore_units || identity_unit(guest->pid, unit) < 0)
		unit[0] = 0;
	if (identity_command(guest->pid, command) < 0)
		command[0] = 0;
	if (!reception_is_current(guest))
		unit[0] = command[0] = 0;
	identity_clean(hello->group, sizeof(hello->group), ret_name);
	if (unit[0])
		strcpy(ret_name, unit);
	else if (!ret_name[0] && command[0])
		strcpy(ret_name, command);
	else if (!ret_name[0])
		identity_clean(hello->exe, sizeof(hello->exe), ret_name);
	if (!ret_name[0])
		strcpy(ret_name, "unknown");
}

const char *
naming_runtime(const struct segment_hello *hello)
{
	if (hello->runtime & SEGMENT_RUNTIME_V8)
		return "node";
	if (hello->runtime & SEGMENT_RUNTIME_CPYTHON)
		return "python";
	return strncmp(hello->exe, "java", sizeof(hello->exe)) == 0 ? "java" : NULL;
}
