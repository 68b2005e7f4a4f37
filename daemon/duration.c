/* SPDX-License-Identifier: MIT */
/* Durations with units; see duration.h. */

#include "config.h"

#include "daemon/duration.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SECOND_NS 1000000000ull

static const struct unit {
	const char *name;
	uint64_t ns;
} units[] = {
	{"y", 365 * 86400 * SECOND_NS},
	{"w", 7 * 86400 * SECOND_NS},
	{"d", 86400 * SECOND_NS},
	{"h", 3600 * SECOND_NS},
	{"m", 60 * SECOND_NS},
	{"s", SECOND_NS},
	{"ms", SECOND_NS / 1000},
};

#define UNITS (sizeof(units) / sizeof(units[0]))

int
duration_parse(const char *text, uint64_t *ret_ns)
{
	uint64_t sum = 0, part;
	size_t next = 0;

	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	if (!*text)
		return -EINVAL;
	while (*text) {
		size_t digits = strspn(text, "0123456789"), letters, unit = next;
		uint64_t number = 0;

		letters = strspn(text + digits, "ywdhms");
		while (unit < UNITS &&
			(strlen(units[unit].name) != letters ||
				strncmp(units[unit].name, text + digits, letters) != 0))
			unit++;
		if (!digits || unit == UNITS)
			return -EINVAL;
		for (size_t i = 0; i < digits; i++)
			if (__builtin_mul_overflow(number, 10, &number) ||
				__builtin_add_overflow(
					number, (uint64_t)(text[i] - '0'), &number))
				return -ERANGE;
		if (__builtin_mul_overflow(number, units[unit].ns, &part) ||
			__builtin_add_overflow(sum, part, &sum))
			return -ERANGE;
		text += digits + letters;
		next = unit + 1;
	}
	*ret_ns = sum;
	return 0;
}

void
duration_format(uint64_t ns, char ret_text[DURATION_BYTES])
{
	uint64_t ms_ns = units[UNITS - 1].ns;
	uint64_t rest = ns / ms_ns * ms_ns + (ns % ms_ns >= ms_ns / 2 ? ms_ns : 0);
	size_t used = 0;

	/* From days down: a year is no whole number of weeks. */
	for (size_t i = 2; i < UNITS; i++) {
		if (rest < units[i].ns)
			continue;
		used += (size_t)snprintf(ret_text + used, DURATION_BYTES - used, "%llu%s",
			(unsigned long long)(rest / units[i].ns), units[i].name);
		rest %= units[i].ns;
	}
	if (!used)
		strcpy(ret_text, "0s");
}
