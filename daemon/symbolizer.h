/* SPDX-License-Identifier: MIT */
/*
 * Finds names for native frames: function, and where there is debug information source file
 * and line. Reads the programs and libraries that a target says it has loaded, which can
 * take long: not for the event loop. Not thread-safe.
 *
 * A path that a target gives may lead anywhere. A file counts only if it is a plain one and
 * its build id is the one that the target has loaded; it is looked up as the target sees its
 * files, opened without effect on devices and pipes, and read, never mapped, so that it may
 * be cut short meanwhile. All sizes are bounded.
 */
#ifndef LOOPLAG_DAEMON_SYMBOLIZER_H
#define LOOPLAG_DAEMON_SYMBOLIZER_H

#include <sys/types.h>

struct capture;
struct symbolizer;

/* NULL without memory. */
struct symbolizer *
symbolizer_new(void);
void
symbolizer_free(struct symbolizer *symbolizer);

/* Fill in what can be found for the capture's native frames. `pid` is a process that has
 * loaded the modules, 0: none is known. */
void
symbolizer_name(struct symbolizer *symbolizer, struct capture *capture, pid_t pid);

#endif
