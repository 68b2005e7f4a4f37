# SPDX-License-Identifier: MIT
"""README, as somebody reads it who does what it says."""

import re

from harness import SOURCE

TEXT = (SOURCE / "README.md").read_text()


def section(heading):
    """What stands below a heading, up to the next one."""
    return re.search(rf"^#+ {re.escape(heading)}\n(.*?)^#+ ", TEXT, re.M | re.S)[1]


def commands(heading):
    """The indented lines there, as one would paste them; not what they say, in fences."""
    text = re.sub(r"^```.*?^```$", "", section(heading), flags=re.M | re.S)
    return "".join(line[4:] or "\n" for line in re.findall(r"^(?:    .*)?\n", text, re.M))
