#!/bin/sh
# SPDX-License-Identifier: MIT
#
# What the probe adds to a wait call stays within the budget, which is of instructions and
# system calls: times depend on the machine and on who else uses it.
set -eu
budget=$srcdir/tests/gates/cost.budget
calls=10000
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

skip()
{
	echo "cost: not counted, $1"
	exit 77
}

# run COMMAND...: with what it says in $scratch/out.
run()
{
	"$@" >"$scratch/out" 2>&1 || { cat "$scratch/out" >&2; exit 1; }
}

# Count the instructions of a program in functions of that name, outside the kernel.
callgrind()
{
	function=$1
	shift
	run valgrind --tool=callgrind --callgrind-out-file=/dev/null \
		--toggle-collect="$function*" "$@"
	counted=$(sed -n 's/.*Collected : \([0-9]*\)$/\1/p' "$scratch/out")
}

# Count the system calls of a whole program, which reads the clock without one where it can.
strace_all()
{
	run env -u LD_PRELOAD strace -f -qq -o "$scratch/calls" -e 'trace=!clock_gettime' \
		-e signal=none -E LD_PRELOAD="$LD_PRELOAD" "$@"
	counted=$(wc -l <"$scratch/calls")
}

# What a wait call of that case costs above the bare one, in instructions.
wait_instructions()
{
	callgrind make_calls "$scratch/wait_cost" --calls $calls --count with "$1"
	with=$counted
	callgrind make_calls "$scratch/wait_cost" --calls $calls --count without "$1"
	cost=$(((with - counted) / calls))
}

# In system calls: between runs of one length and of another lie so many waits.
wait_system_calls()
{
	strace_all "$scratch/wait_cost" --calls 100 --count with "$1"
	few=$counted
	strace_all "$scratch/wait_cost" --calls 1100 --count with "$1"
	cost=$((counted - few - 1000))
}

[ -z "${SAN_CFLAGS-}" ] || skip "since this is built with sanitizers: $SAN_CFLAGS"
case " $CFLAGS " in *" -O2 "*) ;; *) skip "since this is not built with -O2" ;; esac
command -v valgrind >/dev/null || skip "there is no valgrind"
strace -qq -o /dev/null true 2>/dev/null || skip "there is no strace, or no leave to trace"
# Not every valgrind can read every compiler's debug information.
for file in .libs/liblooplag.so tests/bench/wait_cost tests/bench/histogram_cost; do
	strip --strip-debug -o "$scratch/${file##*/}" $file
done
export LD_PRELOAD="$scratch/liblooplag.so" LOOPLAG_SOCKET="$scratch/none"

sed '/^#/d; /^$/d' "$budget" >"$scratch/budget"
while read -r case unit most; do
	case "$case $unit" in
	"record instructions")
		callgrind record_durations "$scratch/histogram_cost" --count $calls
		cost=$((counted / calls)) ;;
	*" instructions") wait_instructions "$case" ;;
	*" system-calls") wait_system_calls "$case" ;;
	*) echo "cost: $budget: what is \"$case $unit\"?" >&2; exit 1 ;;
	esac
	echo "$case: $cost $unit, the budget is $most"
	[ "$cost" -ge 0 ] && [ "$cost" -le "$most" ] || failed=1
done <"$scratch/budget"
exit $failed
