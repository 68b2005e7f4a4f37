/* SPDX-License-Identifier: MIT */
/*
 * Names for native frames, found by a process of our own (symbolizer.h says how). Files that
 * a target has made may be large or malformed, or lie where nobody answers: what they can
 * spoil is a child that may use so much memory and so much time, and is replaced then. Who
 * has spoilt one, the process or any user but root, gets no names for a while.
 *
 *	caller    request in shared memory, a byte ->  child: symbolizer_name()
 *	          <- a byte, or no answer in time: kill
 */
#ifndef LOOPLAG_DAEMON_NAMER_H
#define LOOPLAG_DAEMON_NAMER_H

#include <sys/types.h>

#define NAMER_SECONDS 5              /* for one capture */
#define NAMER_BYTES (256u << 20)     /* the child may keep */
#define NAMER_BYTES_MAX (768u << 20) /* the child may use at any time */

struct capture;
struct namer;

/* NULL without memory. The child begins with the first capture. Not thread-safe; the thread
 * that asks must live as long as it wants answers. */
struct namer *
namer_new(void);
/* Ends the child. */
void
namer_free(struct namer *namer);

/* Fill in what can be found for the capture's native frames. `pid` is a process that has
 * loaded the modules, 0: none is known; `uid` is its user. */
void
namer_name(struct namer *namer, struct capture *capture, pid_t pid, uid_t uid);

/* The child; 0: there is none just now. */
pid_t
namer_child(const struct namer *namer);

#endif
