/* SPDX-License-Identifier: MIT */
/*
 * Messages on stderr. The shape of a line is that of Prometheus: ts, level, component and
 * msg, then what else there is, as logfmt or as JSON. Values are quoted by jansson, so that
 * no name which a stranger chose can forge a line or reach a terminal raw.
 */

#include "config.h"

#include "daemon/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#define QUIET_NS 10000000000ull

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static enum log_level least_level = LOG_LEVEL_WARN;
static enum log_format line_format = LOG_FORMAT_LOGFMT;

void
log_init(enum log_level level, enum log_format format)
{
	least_level = level;
	line_format = format;
}

bool
log_shows(enum log_level level)
{
	return level >= least_level;
}

/* Write a text as a quoted string; bytes that are no UTF-8 become question marks. */
static void
quote(FILE *out, const char *text)
{
	json_t *string = json_string(text);
	char *copy = NULL, *quoted;

	if (!string && (copy = strdup(text))) {
		for (char *c = copy; *c; c++)
			if (*c & 0x80)
				*c = '?';
		string = json_string(copy);
	}
	quoted = json_dumps(string, JSON_ENCODE_ANY);
	fputs(quoted ? quoted : "\"out of memory\"", out);
	free(quoted);
	json_decref(string);
	free(copy);
}

/* Write what stands before a value. */
static void
write_name(FILE *out, const char *name)
{
	fprintf(out, line_format == LOG_FORMAT_JSON ? ",\"%s\":" : " %s=", name);
}

static void
write_line(FILE *out, enum log_level level, const char *token, const char *text,
	const struct log_field *fields, size_t count)
{
	bool json = line_format == LOG_FORMAT_JSON;
	char stamp[32];
	struct timespec now;
	struct tm utc;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	fprintf(out,
		json ? "{\"ts\":\"%s.%03ldZ\",\"level\":\"%s\",\"component\":\"%s\""
		     : "ts=%s.%03ldZ level=%s component=%s",
		stamp, now.tv_nsec / 1000000, level_names[level], token);
	write_name(out, "msg");
	quote(out, text);
	for (size_t i = 0; i < count; i++) {
		write_name(out, fields[i].name);
		if (fields[i].text)
			quote(out, fields[i].text);
		else
			fprintf(out, "%llu", (unsigned long long)fields[i].number);
	}
	fputs(json ? "}\n" : "\n", out);
}

void
log_fields(enum log_level level, const char *token, const char *text,
	const struct log_field *fields, size_t count)
{
	int saved_errno = errno;
	char *line = NULL;
	size_t size;
	FILE *out;

	if (!log_shows(level))
		return;
	/* Composed first: a line is one write, and does not mingle with others. */
	out = open_memstream(&line, &size);
	if (out) {
		write_line(out, level, token, text, fields, count);
		if (!fclose(out))
			fwrite(line, 1, size, stderr);
	}
	free(line);
	errno = saved_errno;
}

static void __attribute__((format(printf, 4, 0))) message(enum log_level level,
	const char *token, uint64_t left_out, const char *format, va_list ap)
{
	int saved_errno = errno;
	char *text, *whole;

	if (!log_shows(level))
		return;
	if (vasprintf(&text, format, ap) < 0)
		goto out;
	if (left_out && asprintf(&whole, "%s (and %llu more like this)", text,
				(unsigned long long)left_out) >= 0) {
		free(text);
		text = whole;
	}
	log_fields(level, token, text, NULL, 0);
	free(text);
out:
	errno = saved_errno;
}

void
log_debug(const char *token, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	message(LOG_LEVEL_DEBUG, token, 0, format, ap);
	va_end(ap);
}

void
log_info(const char *token, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	message(LOG_LEVEL_INFO, token, 0, format, ap);
	va_end(ap);
}

void
log_warn(const char *token, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	message(LOG_LEVEL_WARN, token, 0, format, ap);
	va_end(ap);
}

void
log_error(const char *token, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	message(LOG_LEVEL_ERROR, token, 0, format, ap);
	va_end(ap);
}

void
log_lines(log_fn log, const char *token, char *text)
{
	char *rest = NULL;

	for (char *line = strtok_r(text, "\n", &rest); line;
		line = strtok_r(NULL, "\n", &rest))
		log(token, "%s", line);
}

void
log_warn_limited(struct log_limit *limit, uint64_t now_ns, const char *token,
	const char *format, ...)
{
	va_list ap;

	if (now_ns < limit->quiet_until_ns) {
		limit->left_out++;
		return;
	}
	va_start(ap, format);
	message(LOG_LEVEL_WARN, token, limit->left_out, format, ap);
	va_end(ap);
	limit->quiet_until_ns = now_ns + QUIET_NS;
	limit->left_out = 0;
}
