/* SPDX-License-Identifier: MIT */
/*
 * Messages on stderr. The shape of a line is that of Prometheus: ts, level, component and
 * msg, as logfmt or as JSON. Values are quoted by jansson, so that no name which a
 * stranger chose can forge a line or reach a terminal raw.
 */

#include "config.h"

#include "daemon/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Quote a text; bytes that are no UTF-8 become question marks. Caller frees. */
static char *
quote(char *text)
{
	json_t *string = json_string(text);
	char *quoted;

	if (!string) {
		for (char *c = text; *c; c++)
			if (*c & 0x80)
				*c = '?';
		string = json_string(text);
	}
	quoted = json_dumps(string, JSON_ENCODE_ANY);
	json_decref(string);
	return quoted;
}

static void
print_line(enum log_level level, const char *token, char *text)
{
	char *quoted = quote(text), stamp[32];
	const char *value = quoted ? quoted : "\"out of memory\"";
	struct timespec now;
	struct tm utc;
	long ms;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &utc);
	ms = now.tv_nsec / 1000000;
	if (line_format == LOG_FORMAT_JSON)
		fprintf(stderr,
			"{\"ts\":\"%s.%03ldZ\",\"level\":\"%s\",\"component\":\"%s\","
			"\"msg\":%s}\n",
			stamp, ms, level_names[level], token, value);
	else
		fprintf(stderr, "ts=%s.%03ldZ level=%s component=%s msg=%s\n", stamp, ms,
			level_names[level], token, value);
	free(quoted);
}

static void __attribute__((format(printf, 4, 0))) message(enum log_level level,
	const char *token, uint64_t left_out, const char *format, va_list ap)
{
	int saved_errno = errno;
	char *text, *whole;

	if (level < least_level)
		return;
	if (vasprintf(&text, format, ap) < 0)
		goto out;
	if (left_out && asprintf(&whole, "%s (and %llu more like this)", text,
				(unsigned long long)left_out) >= 0) {
		free(text);
		text = whole;
	}
	print_line(level, token, text);
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
