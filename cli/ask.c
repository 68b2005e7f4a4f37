/* SPDX-License-Identifier: MIT */
/* See ask.h. */

#include "config.h"

#include "cli/ask.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
ask_is_possible(const char *verb, const char *path)
{
	if (fetch_is_possible())
		return true;
	fprintf(stderr,
		"looplag: %s needs a looplag that was built with libcurl "
		"(libcurl4-openssl-dev); curl " FETCH_URL "%s shows the same as JSON\n",
		verb, path);
	return false;
}

void
ask_complain(const char *url, const char *what, int error, const char *words)
{
	if (error == -ENOTCONN)
		fprintf(stderr,
			"looplag: no looplagd at %s (%s); start it, or name another with "
			"--url\n",
			url, words);
	else if (error == -EPROTO)
		fprintf(stderr, "looplag: at %s is no looplagd that knows of %s: %s\n",
			url, what, words);
}

int
ask_get(struct fetch *fetch, const char *path, const char *array, json_t **ret_answer,
	char ret_error[FETCH_ERROR_BYTES])
{
	char *body;
	json_t *answer;
	int r = fetch_get(fetch, path, &body, ret_error);

	if (r)
		return r;
	answer = json_loads(body, 0, NULL);
	free(body);
	if (json_is_array(json_object_get(answer, array))) {
		*ret_answer = answer;
		return 0;
	}
	json_decref(answer);
	snprintf(ret_error, FETCH_ERROR_BYTES, "it answers something else");
	return -EPROTO;
}

int
ask_json(struct fetch *fetch, const char *url, const char *path, const char *array,
	json_t **ret_answer)
{
	char words[FETCH_ERROR_BYTES];
	int r = ask_get(fetch, path, array, ret_answer, words);

	if (r)
		ask_complain(url, array, r, words);
	return r;
}

char *
ask_path(const char *path, const char *name, const char *value)
{
	size_t head = strlen(path) + strlen(name) + 2;
	char *text = malloc(head + 3 * strlen(value) + 1), *to;

	if (!text)
		return NULL;
	to = text + sprintf(text, "%s?%s=", path, name);
	for (; *value; value++) {
		unsigned char c = (unsigned char)*value;

		if (isalnum(c) || strchr("-._~", c))
			*to++ = (char)c;
		else
			to += sprintf(to, "%%%02X", c);
	}
	*to = '\0';
	return text;
}
