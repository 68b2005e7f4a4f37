/* SPDX-License-Identifier: MIT */
/* The life of a capture; see capture.h. */

#include "config.h"

#include "daemon/capture.h"

#include <stdlib.h>

static void
free_frames(struct stall_frame *frames, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(frames[i].function);
		free(frames[i].file);
		free(frames[i].module);
	}
}

void
capture_drop_scripts(struct capture *capture)
{
	free_frames(capture->scripts, capture->script_count);
	capture->script_count = 0;
}

struct capture *
capture_new(void)
{
	return calloc(1, sizeof(struct capture));
}

void
capture_free(struct capture *capture)
{
	if (!capture)
		return;
	free_frames(capture->natives, capture->native_count);
	free_frames(capture->scripts, capture->script_count);
	for (size_t i = 0; i < capture->module_count; i++)
		free(capture->modules[i].path);
	free(capture);
}
