#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The manual pages know every option, every metric and every variable, and nothing twice;
# other documents name files that are there.
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

# heads PAGE KEYS: each of the keys is the head of an item.
heads()
{
	for key in $2; do
		if ! grep -q -e "^\.It Ic \(.* \)*$key\( .*\)*\$" "$srcdir/$1"; then
			echo "docs: $1 has no item for $key" >&2
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
knows config/looplagd.yaml "$keys"
heads daemon/looplagd.yaml.5 "$keys"
knows cli/looplag.1 "$(options ./looplag check-config)"
knows cli/looplag.1 "$(options ./looplag completion)"
knows cli/looplag.1 "$(options ./looplag disable)"
knows cli/looplag.1 "$(options ./looplag doctor)"
knows cli/looplag.1 "$(options ./looplag enable)"
knows cli/looplag.1 "$(options ./looplag hist)"
knows cli/looplag.1 "$(options ./looplag ps)"
knows cli/looplag.1 "$(options ./looplag run)"
knows cli/looplag.1 "$(options ./looplag stalls)"
knows cli/looplag.1 "$(options ./looplag top)"
knows daemon/looplagd.8 "$(sed -n 's/^#define JOURNAL_.*"\([0-9a-f]\{32\}\)"$/\1/p' \
	"$srcdir/daemon/journal.h")"
variables=$(grep -o 'LOOPLAG_[A-Z]*' "$srcdir/probes/settings.c" | sort -u)
knows probes/looplag-probe.7 "$variables"
knows probes/looplag-probe.7 "$(sed -n 's/^\(looplag_[a-z_]*\)(.*/\1/p' \
	"$srcdir/probes/looplag.h")"

pages="cli/looplag.1 daemon/looplagd.8 daemon/looplagd.yaml.5 probes/looplag-probe.7"
# once WORDS: each of them is explained in one page alone.
once()
{
	for word in $1; do
		count=$(cd "$srcdir" && grep -l -e "^\.It [A-Z][a-z] $word\$" $pages | wc -l)
		if [ "$count" != 1 ]; then
			echo "docs: $word is the head of an item in $count pages" >&2
			failed=1
		fi
	done
}
once "$(echo "$variables" | grep -v LOOPLAG_SOCKET) $keys"

# Nobody is sent to files that are gone.
for page in ARCHITECTURE.md CONTRIBUTING.md README.md SECURITY.md docs/fleet.md \
	docs/segment.md; do
	for file in $(grep -o '`[a-z0-9_./-]*`' "$srcdir/$page" | tr -d '`' |
		grep -e '\.\([ch]\|map\|md\|py\|sh\|txt\)$' -e '^tests/' -e '^check_'); do
		for wanted in "$file" "$file.c" "tests/$file.c"; do
			[ -e "$srcdir/$wanted" ] && continue 2
		done
		[ -n "$(cd "$srcdir" && find cli daemon probes tests -name "$file")" ] && continue
		echo "docs: there is no $file, which $page names" >&2
		failed=1
	done
done

if command -v mandoc >/dev/null; then
	for page in $pages; do
		mandoc -Tlint -Wwarning "$srcdir/$page" || failed=1
	done
fi
exit $failed
