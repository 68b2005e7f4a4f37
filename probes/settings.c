/* SPDX-License-Identifier: MIT */
/* The environment, read straight from environ: getenv may be the host's own. */

#include "config.h"

#include "probes/settings.h"

#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "probes/skipped.h"

#define LIBRARY "liblooplag.so"

/* The value of a variable, or NULL. */
static char *
variable(const char *name)
{
	size_t length = strlen(name);

	for (char **entry = environ; entry && *entry; entry++)
		if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
			return *entry + length + 1;
	return NULL;
}

static int
variable_is(const char *name, const char *value)
{
	const char *is = variable(name);

	return is && strcmp(is, value) == 0;
}

/* Copy a string that has room, zero-filled. Returns -1 and nothing if it is too long. */
static int
copy(char *to, size_t size, const char *from)
{
	size_t length = strlen(from);

	if (length >= size)
		return -1;
	memset(to, 0, size);
	memcpy(to, from, length);
	return 0;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The file name of the program, as it was executed. */
static void
read_exe(char ret_exe[SEGMENT_NAME_BYTES])
{
	const char *path = (const char *)getauxval(AT_EXECFN);
	size_t length;

	memset(ret_exe, 0, SEGMENT_NAME_BYTES);
	if (!path)
		return;
	path = base_name(path);
	length = strlen(path);
	memcpy(ret_exe, path,
		length < SEGMENT_NAME_BYTES ? length : SEGMENT_NAME_BYTES - 1);
}

/* Take the probe out of LD_PRELOAD, in place. The order of the others stays. */
static void
disinherit(void)
{
	char *from = variable("LD_PRELOAD"), *to = from;

	if (!from)
		return;
	while (*from) {
		size_t length = strcspn(from, " :"), name = length;
		size_t separators = strspn(from + length, " :");

		while (name > 0 && from[name - 1] != '/')
			name--;
		if (length - name != strlen(LIBRARY) ||
			memcmp(from + name, LIBRARY, strlen(LIBRARY)) != 0) {
			memmove(to, from, length + separators);
			to += length + separators;
		}
		from += length + separators;
	}
	*to = '\0';
}

static uint32_t
read_slots(void)
{
	const char *text = variable("LOOPLAG_SLOTS");
	uint32_t slots = 0;

	for (; text && *text >= '0' && *text <= '9' && slots <= SEGMENT_SLOTS_MAX; text++)
		slots = slots * 10 + (uint32_t)(*text - '0');
	if (slots < SEGMENT_SLOTS_DEFAULT)
		return SEGMENT_SLOTS_DEFAULT;
	return slots > SEGMENT_SLOTS_MAX ? SEGMENT_SLOTS_MAX : slots;
}

void
settings_default(struct settings *ret_settings)
{
	*ret_settings = (struct settings){
		.socket = RUNSTATEDIR "/looplag/probe.sock",
		.slots = SEGMENT_SLOTS_DEFAULT,
	};
	read_exe(ret_settings->exe);
}

int
settings_read(struct settings *ret_settings)
{
	struct settings settings;
	const char *socket = variable("LOOPLAG_SOCKET");
	const char *group = variable("LOOPLAG_GROUP");

	if (getauxval(AT_SECURE))
		return -1;
	settings_default(&settings);
	if (variable_is("LOOPLAG_INHERIT", "0"))
		disinherit();
	if (variable_is("LOOPLAG_DISABLE", "1") || skipped_has(settings.exe))
		return -1;
	if (socket && copy(settings.socket, sizeof(settings.socket), socket))
		return -1;
	if (group)
		(void)copy(settings.group, sizeof(settings.group), group);
	settings.slots = read_slots();
	if (variable_is("LOOPLAG_HELPER", "0"))
		settings.helper = SETTINGS_HELPER_NEVER;
	if (variable_is("LOOPLAG_HELPER", "1"))
		settings.helper = SETTINGS_HELPER_ALWAYS;
	settings.no_stacks = variable_is("LOOPLAG_STACKS", "0");
	*ret_settings = settings;
	return 0;
}
