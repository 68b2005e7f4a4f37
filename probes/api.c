/* SPDX-License-Identifier: MIT */
/* The public functions of looplag.h. A looplag_loop is a loop of the table. */

#include "probes/looplag.h"

#include <stddef.h>

#include "probes/waits.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT struct looplag_loop *
looplag_register(const char *label)
{
	return (struct looplag_loop *)waits_register(label);
}

EXPORT void
looplag_unregister(struct looplag_loop *loop)
{
	if (loop)
		waits_unregister((struct loop *)loop);
}

EXPORT void
looplag_wait_begin(struct looplag_loop *loop)
{
	if (loop)
		waits_begin((struct loop *)loop);
}

EXPORT void
looplag_wait_end(struct looplag_loop *loop, int events)
{
	if (loop)
		waits_end((struct loop *)loop, events);
}
