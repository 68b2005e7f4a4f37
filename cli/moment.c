/* SPDX-License-Identifier: MIT */
/* Reads moments field by field: strptime() would take half of them, or with blanks. */

#include "config.h"

#include "cli/moment.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/duration.h"

#define SECOND_NS 1000000000ll

/* Take that many digits, and a number between the two; false if they are not there. */
static bool
take_number(const char **at, int digits, int least, int most, int *ret_number)
{
	int number = 0;

	for (int i = 0; i < digits; i++) {
		if ((*at)[i] < '0' || (*at)[i] > '9')
			return false;
		number = number * 10 + ((*at)[i] - '0');
	}
	*at += digits;
	*ret_number = number;
	return number >= least && number <= most;
}

static bool
take(const char **at, const char *any_of)
{
	if (!**at || !strchr(any_of, **at))
		return false;
	++*at;
	return true;
}

/* HH:MM[:SS[.fraction]] */
static bool
take_clock(const char **at, struct tm *tm, int64_t *ret_fraction_ns)
{
	int64_t unit = SECOND_NS / 10;

	*ret_fraction_ns = 0;
	tm->tm_sec = 0;
	if (!take_number(at, 2, 0, 23, &tm->tm_hour) || !take(at, ":") ||
		!take_number(at, 2, 0, 59, &tm->tm_min))
		return false;
	if (!take(at, ":"))
		return true;
	if (!take_number(at, 2, 0, 60, &tm->tm_sec))
		return false;
	if (!take(at, "."))
		return true;
	if (**at < '0' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; ++*at, unit /= 10)
		*ret_fraction_ns += (**at - '0') * unit;
	return true;
}

/* Z or +HH:MM, in seconds. */
static bool
take_zone(const char **at, int *ret_seconds)
{
	int sign = **at == '-' ? -1 : 1, hours, minutes;

	*ret_seconds = 0;
	if (take(at, "Z"))
		return true;
	if (!take(at, "+-") || !take_number(at, 2, 0, 23, &hours) || !take(at, ":") ||
		!take_number(at, 2, 0, 59, &minutes))
		return false;
	*ret_seconds = sign * (hours * 60 + minutes) * 60;
	return true;
}

static bool
take_date(const char **at, struct tm *tm)
{
	if (!take_number(at, 4, 1970, 2261, &tm->tm_year) || !take(at, "-") ||
		!take_number(at, 2, 1, 12, &tm->tm_mon) || !take(at, "-") ||
		!take_number(at, 2, 1, 31, &tm->tm_mday))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon--;
	return true;
}

/* A date and a time of day, or that alone. */
static int
parse_time(const char *at, int64_t now_unix_ns, int64_t *ret_unix_ns)
{
	time_t now = (time_t)(now_unix_ns / SECOND_NS), seconds;
	int64_t fraction_ns;
	struct tm tm, asked;
	bool dated = strchr(at, '-') != NULL;
	int zone;

	localtime_r(&now, &tm);
	if (dated && (!take_date(&at, &tm) || !take(&at, "T ")))
		return -EINVAL;
	if (!take_clock(&at, &tm, &fraction_ns))
		return -EINVAL;
	asked = tm;
	if (dated && *at) {
		if (!take_zone(&at, &zone))
			return -EINVAL;
		seconds = timegm(&tm) - zone;
	} else {
		tm.tm_isdst = -1;
		seconds = mktime(&tm);
	}
	/* The 31st of April has become another day. */
	if (*at || tm.tm_mday != asked.tm_mday)
		return -EINVAL;
	*ret_unix_ns = seconds * SECOND_NS + fraction_ns;
	return 0;
}

int
moment_parse(const char *text, int64_t now_unix_ns, int64_t *ret_unix_ns)
{
	uint64_t ago_ns;

	if (strchr(text, ':'))
		return parse_time(text, now_unix_ns, ret_unix_ns);
	if (duration_parse(text, &ago_ns) || ago_ns > (uint64_t)now_unix_ns)
		return -EINVAL;
	*ret_unix_ns = now_unix_ns - (int64_t)ago_ns;
	return 0;
}

const char *
moment_format(int64_t unix_ns, char ret_text[MOMENT_BYTES])
{
	time_t seconds = (time_t)(unix_ns / SECOND_NS);
	struct tm tm;
	size_t length;

	localtime_r(&seconds, &tm);
	length = strftime(ret_text, MOMENT_BYTES, "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(ret_text + length, MOMENT_BYTES - length, ".%03d",
		(int)(unix_ns % SECOND_NS / 1000000));
	return ret_text;
}
