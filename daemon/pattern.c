/* SPDX-License-Identifier: MIT */
/* Anchored regular expressions; see pattern.h. */

#include "config.h"

#include "daemon/pattern.h"

#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
	regex_t regex;
};

/* Where a bracket expression ends: behind its ]. */
static const char *
skip_brackets(const char *s)
{
	s++;
	if (*s == '^')
		s++;
	if (*s == ']')
		s++;
	while (*s && *s != ']') {
		if (s[0] == '[' && s[1] && strchr(".:=", s[1])) {
			const char end[] = {s[1], ']', 0}, *found = strstr(s + 2, end);

			if (found)
				s = found + 1;
		}
		s++;
	}
	return *s ? s + 1 : s;
}

/*
 * What libc would take, and we must not: a parenthesis that would end ours; what would cost
 * it all memory, or all time on a hostile name: nested repetitions, which it multiplies
 * out, and references back.
 */
static const char *
find_trouble(const char *text)
{
	unsigned long repeats = 1;
	unsigned depth = 0;

	for (const char *s = text; *s;) {
		if (*s == '\\' && isdigit((unsigned char)s[1]))
			return "references back (\\1) are not supported";
		if (*s == ')' && depth == 0)
			return "has a ) without its (";
		depth += (unsigned)(*s == '(') - (unsigned)(*s == ')');
		if (*s == '\\' && s[1]) {
			s += 2;
		} else if (*s == '[') {
			s = skip_brackets(s);
		} else if (*s == '{') {
			unsigned long most = 1;

			while (*++s && *s != '}') {
				if (!isdigit((unsigned char)*s))
					continue;
				most = strtoul(s, (char **)&s, 10);
				s--;
				if (most > PATTERN_REPEATS_MAX)
					return "repeats too often";
			}
			repeats *= most ? most : 1;
			if (repeats > PATTERN_REPEATS_MAX)
				return "repeats too often";
		} else {
			s++;
		}
	}
	return NULL;
}

const char *
pattern_new(const char *text, char words[256], struct pattern **ret_pattern)
{
	const char *wrong = find_trouble(text);
	struct pattern *pattern;
	char *anchored = NULL;
	int error;

	if (strlen(text) > PATTERN_BYTES_MAX)
		wrong = "is longer than 1024 bytes";
	if (wrong)
		return wrong;
	pattern = calloc(1, sizeof(*pattern));
	if (!pattern || asprintf(&anchored, "^(%s)$", text) < 0) {
		free(pattern);
		return "out of memory";
	}
	error = regcomp(&pattern->regex, anchored, REG_EXTENDED);
	free(anchored);
	if (error) {
		regerror(error, &pattern->regex, words, 256);
		free(pattern);
		return words;
	}
	*ret_pattern = pattern;
	return NULL;
}

void
pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	regfree(&pattern->regex);
	free(pattern);
}

size_t
pattern_captures(const struct pattern *pattern)
{
	return pattern->regex.re_nsub - 1;
}

bool
pattern_match(const struct pattern *pattern, const char *text,
	struct pattern_capture ret_captures[PATTERN_CAPTURES])
{
	/* The first is the anchored whole, the second our own parentheses. */
	regmatch_t matches[PATTERN_CAPTURES + 1];

	if (regexec(&pattern->regex, text, PATTERN_CAPTURES + 1, matches, 0))
		return false;
	for (size_t i = 0; ret_captures && i < PATTERN_CAPTURES; i++)
		ret_captures[i] = (struct pattern_capture){
			(int)matches[i + 1].rm_so, (int)matches[i + 1].rm_eo};
	return true;
}
