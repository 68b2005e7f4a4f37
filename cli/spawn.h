/* SPDX-License-Identifier: MIT */
/*
 * The command as a child that does not notice its parent: it gets the signal mask and
 * dispositions that this process had, no descriptor of ours, and every signal that
 * somebody sends to us.
 */
#ifndef LOOPLAG_CLI_SPAWN_H
#define LOOPLAG_CLI_SPAWN_H

#include <stdbool.h>

struct event_loop;
struct spawn;

/* Called once, when the command has ended. */
typedef void (*spawn_fn)(void *arg);

/*
 * Take over this process's signals: from now on they are read on `loop` and none ends the
 * process. NULL on failure, errno says why. Freed without a command having run, it gives
 * them back.
 */
struct spawn *
spawn_new(struct event_loop *loop);
void
spawn_free(struct spawn *spawn);

/* Run argv (found by PATH) with this process's environment; call ended(arg) once it has
 * ended. Returns 0 or -errno, of exec too. */
__attribute__((warn_unused_result)) int
spawn_start(struct spawn *spawn, char *const argv[], spawn_fn ended, void *arg);

/* The status that waitpid() gave; valid when the command has ended. */
int
spawn_status(const struct spawn *spawn);

/* End this process as the command ended: with its exit status, or by the same signal. */
__attribute__((noreturn)) void
spawn_exit_like(int status);

#endif
