#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every header compiles alone, and the public one in old C and in C++ too.
set -eu
failed=0

# alone HEADER FLAGS...
alone()
{
	header=$1
	shift
	if ! echo "#include \"$header\"" | $CC $CPPFLAGS -I"$srcdir" "$@" -Wall -Wextra \
		-Wno-unused-function -Werror -fsyntax-only -; then
		echo "headers: $header does not compile alone with $*" >&2
		failed=1
	fi
}

count=0
for header in "$srcdir"/probes/*.h "$srcdir"/daemon/*.h "$srcdir"/daemon/web/*.h \
	"$srcdir"/cli/*.h "$srcdir"/tests/*.h "$srcdir"/tests/fuzz/*.h; do
	[ -e "$header" ] || continue
	alone "${header#"$srcdir"/}" -x c -std=gnu11 -D_GNU_SOURCE
	count=$((count + 1))
done
[ $count -gt 0 ] || { echo "headers: found none under $srcdir" >&2; exit 1; }

public=probes/looplag.h
if [ -e "$srcdir/$public" ]; then
	alone $public -x c -std=c99 -pedantic
	for CC in "$CC" clang; do
		echo | $CC -x c++ -fsyntax-only - 2>/dev/null || continue
		alone $public -x c++ -std=c++98 -Wno-long-long -pedantic
		break
	done
fi
exit $failed
