/* SPDX-License-Identifier: MIT */
/*
 * Messages on stderr, one line each, with a level and a token that names the part of the
 * program that speaks. Modules stay silent and return errors; whoever decides what
 * happens next logs, once. errno is kept.
 */
#ifndef LOOPLAG_DAEMON_LOG_H
#define LOOPLAG_DAEMON_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_LOGFMT, LOG_FORMAT_JSON };

/* What is printed, and how. Before this: warnings and errors, as logfmt. */
void
log_init(enum log_level level, enum log_format format);

/* Whether messages of that level are printed. */
bool
log_shows(enum log_level level);

void
log_debug(const char *token, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void
log_info(const char *token, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void
log_warn(const char *token, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void
log_error(const char *token, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* One of those. */
typedef void (*log_fn)(const char *token, const char *format, ...);

/* Log each line of a text, which is cut into pieces. */
void
log_lines(log_fn log, const char *token, char *text);

/* For what a stranger can cause at will: a warning at most every ten seconds. The next
 * one tells how many were left out. One static, zeroed struct for each place that logs. */
struct log_limit {
	uint64_t quiet_until_ns;
	uint64_t left_out;
};

void
log_warn_limited(struct log_limit *limit, uint64_t now_ns, const char *token,
	const char *format, ...) __attribute__((format(printf, 4, 5)));

/* A fact beside the message, with a name in small letters. */
struct log_field {
	const char *name;
	const char *text; /* NULL: it is the number */
	uint64_t number;
};

/* A message whose facts stand beside it in the line, for programs to find. */
void
log_fields(enum log_level level, const char *token, const char *text,
	const struct log_field *fields, size_t count);

#endif
