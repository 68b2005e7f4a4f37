/* SPDX-License-Identifier: MIT */
/*
 * Targets for tests, without the probe. A writer is a process of its own that registers a
 * segment, holds a thread record of it and does what it is told; the test shares the
 * memory and writes the slots as the process's loops would.
 */
#ifndef LOOPLAG_TESTS_SEGMENT_WRITER_H
#define LOOPLAG_TESTS_SEGMENT_WRITER_H

#include <stdint.h>
#include <sys/types.h>

#include "probes/segment.h"

#define WRITER_SLOTS 64u

struct writer {
	struct segment_header *header;
	struct segment_thread *threads;
	struct segment_slot *slots;
	int fd;       /* the segment */
	int commands; /* to the process, and its answers; -1: there is none */
	pid_t pid;
};

/* A segment in this process, not registered. Its id is random. */
struct writer
writer_make(void);

/* A hello that fits it. */
struct segment_hello
writer_hello(const struct writer *writer);

/* Send a hello with so many copies of a descriptor, from this process. Returns the
 * connection. */
int
writer_send(const char *socket, const void *hello, size_t size, int fd, unsigned count);

/* Start a process for the segment, named `command`; it holds record 0 and has registered
 * when this returns. */
void
writer_start(struct writer *writer, const char *socket, const char *command);

/* A thread of the process, with that name, takes a record; its tid. One at a time. */
int
writer_thread(struct writer *writer, unsigned record, const char *name);
void
writer_end_thread(struct writer *writer);

/* The process forks a child, whose pid this is, and which may outlive it; the caller's to
 * kill. When told it takes a record. */
pid_t
writer_fork(struct writer *writer);
void
writer_let_child_claim(struct writer *writer, unsigned record);

/* The process makes an epoll instance, and closes it. */
int
writer_open(struct writer *writer);
void
writer_close(struct writer *writer, int fd);

/* The process, which was started after `other` was made, registers that one too. */
void
writer_register(struct writer *writer, const struct writer *other);

/* Kill it, and wait until it is gone. Its children live on. */
void
writer_kill(struct writer *writer);

/* Give everything back. */
void
writer_free(struct writer *writer);

/* The loop in slot `index` is born now; it belongs to the thread record, and waits. */
void
writer_begin(struct writer *writer, unsigned index, unsigned record, int descriptor);

/* Its wait returns; its next wait begins, which ends the iteration; both, with exactly so
 * much time between them, though this machine may take longer. */
void
writer_wake(struct writer *writer, unsigned index);
void
writer_wait(struct writer *writer, unsigned index);
void
writer_iterate(struct writer *writer, unsigned index, uint64_t length_ns);

/* An iteration that takes no time, so that nobody ever sees the loop unattended. */
void
writer_turn(struct writer *writer, unsigned index);

/* CLOCK_MONOTONIC. */
uint64_t
writer_now_ns(void);

#endif
