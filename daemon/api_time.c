/* SPDX-License-Identifier: MIT */
/* Times in the JSON API; see api_time.h. */

#include "config.h"

#include "daemon/api_time.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#define NS_PER_SECOND 1000000000ll

json_t *
api_time_json(int64_t unix_ns)
{
	time_t whole = (time_t)(unix_ns / NS_PER_SECOND);
	char text[40], day[24];
	struct tm tm;

	if (!gmtime_r(&whole, &tm))
		return NULL;
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03dZ", day,
		(int)(unix_ns % NS_PER_SECOND / 1000000));
	return json_string(text);
}

/* The zone at the end of a time: Z, or how far it is ahead. Returns 0 or -EINVAL. */
static int
zone_in(const char *text, int64_t *ret_seconds)
{
	int hours, minutes, n = 0;

	if ((*text == 'Z' || *text == 'z') && !text[1]) {
		*ret_seconds = 0;
		return 0;
	}
	/* A + that was not quoted comes out of a URL as a blank. */
	if (!strchr("+- ", *text) ||
		sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &n) != 2 || n != 5 ||
		text[6] || hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return -EINVAL;
	*ret_seconds = (*text == '-' ? -1 : 1) * (hours * 3600ll + minutes * 60ll);
	return 0;
}

int
api_time_parse(const char *text, int64_t *ret_unix_ns)
{
	int64_t zone_seconds, fraction_ns = 0, unit = NS_PER_SECOND;
	struct tm tm = {0};
	const char *s = strptime(text, "%Y-%m-%d", &tm);

	if (!s || !strchr("Tt ", *s) || !*s)
		return -EINVAL;
	s = strptime(s + 1, "%H:%M:%S", &tm);
	if (!s)
		return -EINVAL;
	if (*s == '.')
		for (s++; isdigit((unsigned char)*s); s++) {
			unit /= 10;
			fraction_ns += unit * (*s - '0');
		}
	if (!*s || zone_in(s, &zone_seconds) < 0 || tm.tm_year > 300 || tm.tm_year < 0)
		return -EINVAL;
	*ret_unix_ns =
		((int64_t)timegm(&tm) - zone_seconds) * NS_PER_SECOND + fraction_ns;
	return 0;
}
