/* SPDX-License-Identifier: MIT */
/* The probe's side of v8.h: finds V8, and the module that knows it. */

#include "probes/v8.h"

#include <stddef.h>

#include "probes/symbols.h"

static int prepared;
static void *(*try_get_current)(void); /* v8::Isolate::TryGetCurrent() */

void
v8_prepare(void)
{
	if (prepared)
		return;
	prepared = 1;
	*(void **)&try_get_current =
		symbols_find("_ZN2v87Isolate13TryGetCurrentEv", NULL);
}

void *
v8_current(void)
{
	return try_get_current ? try_get_current() : NULL;
}

int
v8_ask(void *isolate, struct segment_capture *record, uint64_t sequence)
{
	(void)isolate;
	(void)record;
	(void)sequence;
	return -1;
}
