#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the probe adds to a wait call stays within a budget: of instructions, since times
# depend on the machine and on who else uses it. Whoever makes the probe dearer changes the
# budget here, and tells what for.
set -eu
budget=720 # counted: 484 with gcc 12 -O2, 693 with -Og, 445 with clang 14 -O2
calls=10000
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

skip()
{
	echo "$1"
	exit 77
}

# Count the instructions of so many calls of a kind, outside the kernel.
count()
{
	LD_PRELOAD=$scratch/probe.so LOOPLAG_SOCKET=$scratch/none valgrind --tool=callgrind \
		--callgrind-out-file=/dev/null --toggle-collect='make_calls*' \
		"$scratch/wait_cost" --calls $calls --count "$1" ready \
		>"$scratch/out" 2>&1 || { cat "$scratch/out" >&2; exit 1; }
	sed -n 's/.*Collected : \([0-9]*\)$/\1/p' "$scratch/out"
}

command -v valgrind >/dev/null || skip "no valgrind here"
tests/bench/wait_cost --optimised || skip "built without optimisation"
# Not every valgrind can read every compiler's debug information.
strip --strip-debug -o "$scratch/probe.so" .libs/liblooplag.so
strip --strip-debug -o "$scratch/wait_cost" tests/bench/wait_cost
with=$(count with)
without=$(count without)
cost=$(((with - without) / calls))
echo "the probe adds $cost instructions to a wait call, the budget is $budget"
[ $cost -gt 0 ] && [ $cost -le $budget ]
