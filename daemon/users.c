/* SPDX-License-Identifier: MIT */
/* Looks users up in /etc/passwd; see users.h. */

#include "config.h"

#include "daemon/users.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define PASSWD "/etc/passwd"
#define LINE_BYTES 1024

void
users_name(uid_t uid, char ret_name[USERS_NAME_BYTES])
{
	FILE *file = fopen(PASSWD, "re");
	struct passwd entry, *found;
	char line[LINE_BYTES];

	snprintf(ret_name, USERS_NAME_BYTES, "%u", (unsigned)uid);
	while (file && fgetpwent_r(file, &entry, line, sizeof(line), &found) == 0) {
		if (entry.pw_uid != uid)
			continue;
		if (entry.pw_name[0] && strlen(entry.pw_name) < USERS_NAME_BYTES)
			strcpy(ret_name, entry.pw_name);
		break;
	}
	if (file)
		fclose(file);
}
