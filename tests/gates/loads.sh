#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The library loads into a program of this machine's C library and into one of musl, at once
# with all symbols resolved, makes its segment there, and changes nothing of what the program
# says.
set -eu
library=$PWD/.libs/liblooplag.so
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failed=0

cat >"$scratch/program.c" <<'END'
#include <stdio.h>
#include <string.h>
int
main(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[4096];
	int code = 0, segment = 0;

	while (maps && fgets(line, sizeof line, maps)) {
		code |= strstr(line, "/liblooplag.so") && strstr(line, " r-xp ");
		segment |= strstr(line, "/memfd:looplag") != NULL;
	}
	printf("code %d segment %d\n", code, segment);
	return 0;
}
END

# loads_into COMPILER...
loads_into()
{
	"$@" -o "$scratch/program" "$scratch/program.c"
	said=$(LD_BIND_NOW=1 LD_PRELOAD=$library LOOPLAG_SOCKET=$scratch/none \
		"$scratch/program" 2>&1) || said="ended with $?: $said"
	if [ "$said" != "code 1 segment 1" ]; then
		echo "loads: in a program of $1 it says: $said" >&2
		failed=1
	fi
}

[ -r "$library" ] || { echo "loads: no $library; run make first" >&2; exit 1; }
# shellcheck disable=SC2086
loads_into $CC
if command -v musl-gcc >/dev/null; then
	loads_into musl-gcc
else
	echo "loads: no musl-gcc here, so musl was not tried"
fi
exit $failed
