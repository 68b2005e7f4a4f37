/* SPDX-License-Identifier: MIT */
/*
 * looplag: for programs whose event loop does not wait in epoll_wait, poll or select
 * (io_uring, a game loop, a message queue). Other programs need nothing of this.
 *
 *	struct looplag_loop *loop = looplag_register("render");
 *	for (;;) {
 *		looplag_wait_begin(loop);
 *		n = io_uring_wait_cqe(...);
 *		looplag_wait_end(loop, n);
 *		... what is done here is an iteration ...
 *	}
 *
 * Link with -llooplag (pkg-config: looplag), or load the library with LD_PRELOAD and
 * declare these functions weak. No function ever fails in a way that matters: without a
 * daemon, or with LOOPLAG_DISABLE=1, all of them do nothing and cost next to nothing.
 * None makes a system call, but for the first registration in a process that is to have a
 * helper thread. errno is kept.
 */
#ifndef LOOPLAG_H
#define LOOPLAG_H

#ifdef __cplusplus
extern "C" {
#endif

struct looplag_loop;

/* A loop with that label, which becomes the label `loop` of its metrics (31 bytes at most;
 * NULL: the thread's name). Returns NULL when nothing is recorded; the other functions take
 * that. A forked child registers its own. */
struct looplag_loop *
looplag_register(const char *label);

/* The loop is over. */
void
looplag_unregister(struct looplag_loop *loop);

/* The calling thread begins to wait for events: the loop is attended. */
void
looplag_wait_begin(struct looplag_loop *loop);

/* It has come back with so many events; 0 or less: none. The loop is unattended until the
 * next wait begins. */
void
looplag_wait_end(struct looplag_loop *loop, int events);

#ifdef __cplusplus
}
#endif

#endif
