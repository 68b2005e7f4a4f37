#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual pages know every option and every metric.
set -eu
failed=0

# knows PAGE WORDS: each of the words stands in the page.
knows()
{
	if [ -z "$2" ]; then
		echo "docs: found nothing to look up in $1" >&2
		failed=1
	fi
	for word in $2; do
		if ! grep -q -e "[^a-z_.-]$word\([^a-z_.-]\|\$\)" "$srcdir/$1"; then
			echo "docs: $1 does not know $word" >&2
			failed=1
		fi
	done
}

# The options in a help text, as the pages write them: --web.x becomes -web.x.
options()
{
	"$@" --help | grep -o -e '^ *--[a-z][a-z.-]*' | sed 's/^ *-//'
}

knows daemon/looplagd.8 "$(options ./looplagd)"
knows daemon/looplagd.8 "$(sed -n 's/.*"\(looplag_[a-z_]*\|process_[a-z_]*\)".*/\1/p' \
	"$srcdir"/daemon/*.c | sort -u)"
keys=$(sed -n 's/^\t{SCHEMA_[A-Z]*, "\([a-z_]*\)".*/\1/p' "$srcdir/daemon/schema.c" | sort -u)
knows daemon/looplagd.8 "$keys"
knows config/looplagd.yaml "$keys"
knows cli/looplag.1 "$(options ./looplag check-config)"
knows cli/looplag.1 "$(options ./looplag completion)"
knows cli/looplag.1 "$(options ./looplag doctor)"
knows cli/looplag.1 "$(options ./looplag hist)"
knows cli/looplag.1 "$(options ./looplag ps)"
knows cli/looplag.1 "$(options ./looplag run)"
knows cli/looplag.1 "$(options ./looplag stalls)"
knows cli/looplag.1 "$(options ./looplag top)"
knows daemon/looplagd.8 "$(sed -n 's/^#define JOURNAL_.*"\([0-9a-f]\{32\}\)"$/\1/p' \
	"$srcdir/daemon/journal.h")"
knows cli/looplag.1 "$(grep -o 'LOOPLAG_[A-Z]*' "$srcdir/probes/settings.c" | sort -u)"

if command -v mandoc >/dev/null; then
	mandoc -Tlint -Wwarning "$srcdir/daemon/looplagd.8" "$srcdir/cli/looplag.1" || failed=1
fi
exit $failed
