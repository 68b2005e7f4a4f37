/* SPDX-License-Identifier: MIT */
/* Anchored regular expressions; see pattern.h. */

#include "config.h"

#include "daemon/pattern.h"

#include <ctype.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32
#define COPIES_MAX 1000 /* of items, by what repeats */
#define GROUP_WEIGHT 16 /* in parentheses they cost libc so much more */

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

/* The largest count between the braces at *at, moving to their end; 1 if there is none. */
static unsigned long
take_count(const char **at)
{
	unsigned long most = 1, count;
	char *end;

	for (++*at; **at && **at != '}'; *at = end) {
		count = strtoul(*at, &end, 10);
		if (end == *at)
			end++;
		most = count > most ? count : most;
	}
	return most;
}

/* What libc makes of a group, as it copies what repeats: how many items so far, and of them
 * for the last one. */
struct group {
	unsigned long items, last;
	unsigned weight; /* of copies of the last one */
};

/*
 * What libc would take, and we must not: a parenthesis that would end ours; what would cost
 * it all memory, or all time on a hostile name: references back, and copies of copies.
 */
static const char *
find_trouble(const char *text)
{
	struct group groups[DEPTH_MAX + 1] = {{0}}, *group = groups;
	unsigned long copies = 0, count;

	for (const char *s = text; *s;) {
		if (*s == '\\' && isdigit((unsigned char)s[1]))
			return "references back (\\1) are not supported";
		count = *s == '+' ? 2 : 1;
		if (*s == '(') {
			if (group == groups + DEPTH_MAX)
				return "nests too deeply";
			*++group = (struct group){0};
		} else if (*s == ')') {
			if (group == groups)
				return "has a ) without its (";
			group[-1].last = group->items + 1;
			group[-1].items += group->items + 1;
			group[-1].weight = GROUP_WEIGHT;
			group--;
		} else if (*s == '{') {
			count = take_count(&s);
		} else if (!strchr("*+?|^$", *s)) {
			*group = (struct group){group->items + 1, 1, 1};
		}
		if (count > PATTERN_REPEATS_MAX)
			return "repeats too often";
		copies += group->last * (count - 1) * group->weight;
		if (copies > COPIES_MAX)
			return "repeats too often";
		group->items += group->last * (count - 1);
		group->last *= count;
		if (!*s)
			break;
		s = *s == '[' ? skip_brackets(s) : *s == '\\' && s[1] ? s + 2 : s + 1;
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
