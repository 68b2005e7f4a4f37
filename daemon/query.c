/* SPDX-License-Identifier: MIT */
/* Queries of URLs; see query.h. */

#include "config.h"

#include "daemon/query.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int
digit(char c)
{
	return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

/* Decode in place. Returns 0 or -EINVAL. */
static int
decode(char *text)
{
	char *to = text;

	for (const char *s = text; *s; s++, to++) {
		if (*s == '+') {
			*to = ' ';
		} else if (*s != '%') {
			*to = *s;
		} else if (isxdigit((unsigned char)s[1]) &&
			   isxdigit((unsigned char)s[2])) {
			*to = (char)(16 * digit(s[1]) + digit(s[2]));
			/* It would end the string. */
			if (!*to)
				return -EINVAL;
			s += 2;
		} else {
			return -EINVAL;
		}
	}
	*to = 0;
	return 0;
}

int
query_parse(const char *text, struct query *ret_query)
{
	struct query query = {.text = strdup(text ? text : "")};
	char *rest = query.text, *name;
	int r = query.text ? 0 : -ENOMEM;

	while (!r && (name = strsep(&rest, "&"))) {
		char *value = strchr(name, '=');

		if (!*name)
			continue;
		if (query.count == QUERY_PARAMETERS_MAX) {
			r = -E2BIG;
			break;
		}
		if (value)
			*value++ = 0;
		else
			value = name + strlen(name);
		query.parameters[query.count].name = name;
		query.parameters[query.count++].value = value;
		r = decode(name) < 0 || decode(value) < 0 ? -EINVAL : 0;
	}
	if (r < 0) {
		query_fini(&query);
		return r;
	}
	*ret_query = query;
	return 0;
}

void
query_fini(struct query *query)
{
	free(query->text);
	memset(query, 0, sizeof(*query));
}
