/* SPDX-License-Identifier: MIT */
/* Did you mean ...? By the edit distance; see similar.h. */

#include "config.h"

#include "daemon/similar.h"

#include <stdint.h>
#include <string.h>

#define LONGEST 63

/* How many letters must be put in, left out or changed; at most the longer length. */
static size_t
edit_distance(const char *a, const char *b)
{
	size_t row[LONGEST + 1], width = strlen(b), above, left;

	if (strlen(a) > LONGEST || width > LONGEST)
		return SIZE_MAX;
	for (size_t j = 0; j <= width; j++)
		row[j] = j;
	for (size_t i = 1; a[i - 1]; i++) {
		left = row[0];
		row[0] = i;
		for (size_t j = 1; j <= width; j++) {
			size_t best = left + (a[i - 1] != b[j - 1]);

			above = row[j];
			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			left = above;
			row[j] = best;
		}
	}
	return row[width];
}

const char *
similar_find(const char *name, const char *const *names, size_t count)
{
	const char *similar = NULL;
	size_t least = 4;

	for (size_t i = 0; i < count; i++) {
		size_t distance = edit_distance(name, names[i]);

		/* web.path, listen-address, socket: part of a name. */
		if (strlen(name) > 3 && strstr(names[i], name))
			distance = 1;
		if (distance < least && distance < strlen(name)) {
			least = distance;
			similar = names[i];
		}
	}
	return similar;
}
