/* SPDX-License-Identifier: MIT */
/* Any text as what the kernel says of a process, of which its owner has chosen the names:
 * what becomes of it are labels. */

#include "config.h"

#include "daemon/identity.h"

#include <string.h>

#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {data, size};
	char name[IDENTITY_NAME_BYTES], path[IDENTITY_CGROUP_BYTES];
	char *text = fuzz_text(&input);
	uint64_t ticks;
	int64_t ns;

	if (identity_unit_in(text, name) == 0) {
		fuzz_check(strlen(name) > strlen(".service"));
		fuzz_check_clean(name);
	}
	if (identity_cgroup_in(text, path) == 0)
		fuzz_check(path[0] == '/' && !strchr(path, '\n'));
	identity_clean((const char *)data, size, name);
	fuzz_check_clean(name);
	identity_trim(name);
	fuzz_check_clean(name);
	(void)identity_start_in(text, &ticks);
	(void)identity_offset_in(text, &ns);
	free(text);
	return 0;
}
