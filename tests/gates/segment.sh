#!/bin/sh
# SPDX-License-Identifier: MIT
#
# docs/segment.md is what probes/segment.h says: every struct has a table, every field a row
# with its offset and size, and what stands as `NAME` | NUMBER has that value.
set -eu
page=docs/segment.md
headers="probes/segment.h probes/histogram.h"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# A program that looks at each row, of the tables below a heading with `struct NAME`.
{
	cat <<END
#include <stddef.h>
#include <stdio.h>
#include "probes/segment.h"
static int failed;
static size_t end;
static void
field(int line, const char *name, size_t offset, size_t bytes, size_t is_at, size_t has)
{
	if (offset != is_at || bytes != has)
		failed = fprintf(stderr, "segment: $page:%d: %s is at %zu, %zu bytes\n",
			line, name, is_at, has);
	if (is_at != end)
		failed = fprintf(stderr, "segment: $page:%d: %s is not what comes at %zu\n",
			line, name, end);
	end = is_at + has;
}
static void
whole(int line, const char *name, size_t bytes, size_t has)
{
	if (bytes != has)
		failed = fprintf(stderr, "segment: $page:%d: %s has %zu bytes\n", line,
			name, has);
	if (end != has)
		failed = fprintf(stderr, "segment: $page:%d: %s ends at %zu, the table at %zu\n",
			line, name, has, end);
	end = 0;
}
static void
value(int line, const char *name, unsigned long long says, unsigned long long is)
{
	if (says != is)
		failed = fprintf(stderr, "segment: $page:%d: %s is %llu\n", line, name, is);
}
int
main(void)
{
END
	awk '
	function finish() {
		if (name)
			printf "whole(%d, \"%s\", %s, sizeof(%s));\n", line, name, bytes, name
		name = ""
	}
	/^#/ { finish() }
	/^#.*`struct [a-z_]*`, [0-9]* bytes$/ {
		split($0, part, "`")
		name = part[2]
		bytes = $(NF - 1)
		line = NR
	}
	/^\| [0-9]+ \| [0-9]+ \| `[a-z_]+` \|/ && name {
		gsub("`", "", $6)
		printf "field(%d, \"%s\", %s, %s, offsetof(%s, %s), sizeof(((%s *)0)->%s));\n",
			NR, $6, $2, $4, name, $6, name, $6
	}
	/^\| `[A-Za-z_0-9()]+` \| [0-9a-fx]+ \|$/ {
		gsub("`", "", $2)
		printf "value(%d, \"%s\", %s, %s);\n", NR, $2, $4, $2
	}
	END { finish() }' "$srcdir/$page"
	printf 'return failed != 0;\n}\n'
} >"$scratch/look.c"

failed=0
for struct in $(cd "$srcdir" && sed -n 's/^struct \([a-z_]*\) {$/\1/p' $headers); do
	if ! grep -q "^whole(.*\"struct $struct\"" "$scratch/look.c"; then
		echo "segment: $page has no table of struct $struct" >&2
		failed=1
	fi
done
# shellcheck disable=SC2086
$CC $CPPFLAGS -I"$srcdir" -o "$scratch/look" "$scratch/look.c" && "$scratch/look" || failed=1
exit $failed
