# SPDX-License-Identifier: MIT
"""A daemon that watches 200 loops takes less than 1 % of a core, and none of it is theirs.

The kernel's count of its processor time is exact, but on a machine with others it may be
charged for their cache misses: of three times one must be below.
"""

import time
from pathlib import Path

import pytest

from harness import host_program, wait_for

LOOPS = 200
SECONDS = 4
MOST = 0.01
TRIES = 3


def cpu_seconds(pid):
    """Of all threads, in user space and in the kernel."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@pytest.mark.quiet
@pytest.mark.parametrize("gap_ms", [10000, 100], ids=["idle", "lightly-busy"])
def test_watching_is_cheap(daemon, target, tmp_path, gap_ms):
    for _ in range(LOOPS):
        target([host_program("stalls"), tmp_path / "log", "nothing", gap_ms, 0, 1],
               group="rest")
    wait_for(lambda: daemon.loop("rest") and
             daemon.metrics().value("looplag_group_loops", groupname="rest") == LOOPS, 60,
             f"{LOOPS} loops", every=0.5)
    shares = []
    while len(shares) < TRIES and not (shares and shares[-1] < MOST):
        before, began = cpu_seconds(daemon.pid), time.monotonic()
        time.sleep(SECONDS)  # what is measured is this time
        used = cpu_seconds(daemon.pid) - before
        shares.append(used / (time.monotonic() - began))
    print(f"looplagd took {', '.join(f'{share:.2%}' for share in shares)} of a core")
    assert shares[-1] < MOST
