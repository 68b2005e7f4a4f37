#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the probe shows to the dynamic linker: it exports the names of its version script
# and no other, needs libc alone, and imports nothing that an old glibc or musl lacks, so
# that it can be loaded into any program without harm.
set -eu
LC_ALL=C
export LC_ALL

library=.libs/liblooplag.so
module=.libs/liblooplag-v8.so
map=$srcdir/probes/looplag.map
allowed=$srcdir/tests/gates/allowed-symbols.txt
newest=2.17
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

complain()
{
	echo "exports: $1" >&2
	sed 's/^/	/' "$2" >&2
	failed=1
}

# The second file's lines must all be in the first.
must_contain()
{
	comm -13 "$1" "$2" >"$scratch/left"
	[ ! -s "$scratch/left" ] || complain "$3" "$scratch/left"
}

[ -r "$library" ] || { echo "exports: no $library; run make first" >&2; exit 1; }

# exports_are MAP LIBRARY
exports_are()
{
	sed -e 's,/\*.*\*/,,' "$1" | tr '\n' ' ' |
		sed -e 's/.*global:\(.*\)local:.*/\1/' | tr -d ' \t' | tr ';' '\n' |
		grep . | sort >"$scratch/listed"
	$NM -D --defined-only --format=posix "$2" | awk '$2 != "A" { print $1 }' |
		sed 's/@.*//' | sort -u >"$scratch/exported"
	must_contain "$scratch/listed" "$scratch/exported" "exported, but not in $1:"
	must_contain "$scratch/exported" "$scratch/listed" "in $1, but not exported:"
}

# loads_anywhere LIBRARY NEEDED: what its dynamic section says, NEEDED as a pattern.
loads_anywhere()
{
	$READELF -dW "$1" >"$scratch/dynamic"
	sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' "$scratch/dynamic" | grep -vE "^($2)\$" \
		>"$scratch/needed" || true
	[ ! -s "$scratch/needed" ] || complain "$1 needs other libraries:" "$scratch/needed"
	grep -E 'TEXTREL|RPATH|RUNPATH' "$scratch/dynamic" >"$scratch/bad" || true
	[ ! -s "$scratch/bad" ] || complain "dynamic section of $1:" "$scratch/bad"
	$READELF -lW "$1" | grep GNU_STACK >"$scratch/stack" || true
	grep -q 'RW  *0x' "$scratch/stack" ||
		complain "$1: executable stack, or none stated:" "$scratch/stack"
}

exports_are "$map" "$library"
$NM -D --undefined-only --format=posix "$library" | awk '{ print $1 }' >"$scratch/undefined"
sed 's/@.*//' "$scratch/undefined" | sort -u >"$scratch/imported"
sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$allowed" | sort -u >"$scratch/allowed"
must_contain "$scratch/allowed" "$scratch/imported" "imported, but not in $allowed:"

# Symbols newer than $newest sort behind it.
sed -n 's/.*@GLIBC_//p' "$scratch/undefined" | sort -uV |
	awk -v newest="$newest" '{ split($1, a, "."); split(newest, b, ".")
		if (a[1] > b[1] || (a[1] == b[1] && a[2] > b[2])) print "GLIBC_" $1 }' \
	>"$scratch/newer"
[ ! -s "$scratch/newer" ] || complain "needs symbols newer than GLIBC_$newest:" "$scratch/newer"

# Weak names may be missing at run time; the others must be in musl too.
for musl in /lib/ld-musl-*.so.1; do
	[ -r "$musl" ] || continue
	$NM -D --undefined-only --format=posix "$library" | awk '$2 == "U" { print $1 }' |
		sed 's/@.*//' | sort -u >"$scratch/strong"
	$NM -D --defined-only --format=posix "$musl" | awk '{ print $1 }' | sort -u \
		>"$scratch/musl"
	must_contain "$scratch/musl" "$scratch/strong" "imported, but not in musl:"
done

loads_anywhere "$library" 'libc\.so\.6'

# The module that knows V8 is loaded where V8 and the standard library of C++ are.
[ -r "$module" ] || exit $failed
exports_are "$srcdir/probes/v8.map" "$module"
loads_anywhere "$module" 'libc\.so\.6|libm\.so\.6|libgcc_s\.so\.1|libstdc\+\+\.so\.6'
# V8's own names are weak: any may be missing.
$NM -D --undefined-only --format=posix "$module" |
	awk '!($2 == "w" && $1 ~ /^_ZNK?2v8/) { print $1 }' >"$scratch/undefined"
printf '%s\n' free malloc strlen >>"$scratch/allowed"
sort -u -o "$scratch/allowed" "$scratch/allowed"
grep -v '@GLIBCXX_\|@CXXABI_' "$scratch/undefined" | sed 's/@.*//' | sort -u \
	>"$scratch/imported"
must_contain "$scratch/allowed" "$scratch/imported" "imported by $module, but not allowed:"
# Of GCC 5, with which the Node that has the oldest V8 we know was built.
sed -n 's/.*@GLIBCXX_//p' "$scratch/undefined" | sort -uV |
	awk '{ split($1, a, "."); if (a[3] > 21) print "GLIBCXX_" $1 }' >"$scratch/newer"
[ ! -s "$scratch/newer" ] || complain "$module needs a newer libstdc++:" "$scratch/newer"
exit $failed
