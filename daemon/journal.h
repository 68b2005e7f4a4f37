/* SPDX-License-Identifier: MIT */
/*
 * Messages that programs look for: each kind has an id of its own and its facts in fields.
 * They go to the journal if that is where standard error goes, and are lines there (log.h)
 * otherwise. Never waits: what the journal cannot take at once is lost, and the next entry
 * says so.
 */
#ifndef LOOPLAG_DAEMON_JOURNAL_H
#define LOOPLAG_DAEMON_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "daemon/log.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* MESSAGE_ID of each kind; published in looplagd(8), and never to be changed. */
#define JOURNAL_STALL_BEGAN "5f6d78c090a24109afb12f9d73f5c5b5"
#define JOURNAL_STALL_ENDED "1a7866b906b84c43b4607d76028b59c5"
#define JOURNAL_ALERT_FIRING "ebd829c67a664db48c0dafadcc0f87b9"
#define JOURNAL_ALERT_RESOLVED "4c6f42972813408a8e2d6d009cee8f50"

/* Whether `stream`, the value of JOURNAL_STREAM or NULL, names that open file. */
bool
journal_is_stream(const char *stream, const struct stat *st);

/* From now on write to the journal's socket at that path. Before this: lines. Returns 0 or
 * -errno. */
__attribute__((warn_unused_result)) int
journal_open(const char *path);
void
journal_close(void);

/*
 * Write a message of the kind with that MESSAGE_ID. A field is LOOPLAG_NAME there, in
 * capital letters, and name=value in a line. The field "pid" also makes the entry one about
 * that process, where we may say so.
 */
void
journal_write(enum log_level level, const char *token, const char *id, const char *text,
	const struct log_field *fields, size_t count);

#endif
