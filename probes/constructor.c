/* SPDX-License-Identifier: MIT */
/* What runs when liblooplag.so is loaded, before the program's main. */

#include "probes/probe.h"
#include "probes/settings.h"

__attribute__((constructor)) static void
begin(void)
{
	struct settings settings;

	if (settings_read(&settings) == 0)
		(void)probe_start_with(&settings);
}
