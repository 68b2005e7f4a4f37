/* SPDX-License-Identifier: MIT */
/* Names of causes and languages, and what a sample owns; see stall.h. */

#include "config.h"

#include "daemon/stall.h"

#include <stdlib.h>
#include <string.h>

const char *
stall_cause_name(enum stall_cause cause)
{
	static const char *const names[STALL_CAUSES] = {
		[STALL_UNKNOWN] = "unknown",
		[STALL_CPU] = "cpu",
		[STALL_BLOCKED] = "blocked",
		[STALL_NESTED_WAIT] = "nested_wait",
		[STALL_GIL] = "gil",
		[STALL_STARVED] = "starved",
		[STALL_STOPPED] = "stopped",
	};

	return names[cause];
}

const char *
stall_language_name(enum stall_language language)
{
	static const char *const names[] = {
		[STALL_NATIVE] = "native",
		[STALL_PYTHON] = "python",
		[STALL_JS] = "js",
	};

	return names[language];
}

void
stall_sample_fini(struct stall_sample *sample)
{
	for (size_t i = 0; i < sample->count; i++) {
		free(sample->frames[i].function);
		free(sample->frames[i].file);
		free(sample->frames[i].module);
	}
	free(sample->frames);
	memset(sample, 0, sizeof(*sample));
}
