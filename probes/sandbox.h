/* SPDX-License-Identifier: MIT */
/*
 * Filters of system calls that the program was started with. They may kill for a call that
 * the program itself never makes, and nobody can ask them; so a child tries, which nobody
 * hears of: it sends no signal when it ends, leaves no core, and only we wait for it.
 *
 * Only where there is a filter, and only at the start of the process. A filter that kills
 * for making a process or for waiting for it is beyond help.
 */
#ifndef LOOPLAG_PROBES_SANDBOX_H
#define LOOPLAG_PROBES_SANDBOX_H

/* Make the calls in a child if the process has a filter. Returns whether it may make them:
 * 0, or -1 if the child did not live to their end. */
int
sandbox_try(void (*calls)(void *), void *context);

#endif
