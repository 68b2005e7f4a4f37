#!/bin/sh
# SPDX-License-Identifier: MIT
#
# All C and C++ code is formatted as .clang-format says. Another release of clang-format than the
# one named here breaks lines differently.
set -eu
release=14
for tool in clang-format-$release clang-format; do
	case $($tool --version 2>/dev/null) in
	*"version $release."*) ;;
	*) continue ;;
	esac
	find "$srcdir/probes" "$srcdir/daemon" "$srcdir/cli" "$srcdir/tests" \
		\( -name '*.[ch]' -o -name '*.cc' \) -exec $tool --style=file --dry-run -Werror {} +
	exit
done
echo "no clang-format $release here"
exit 77
