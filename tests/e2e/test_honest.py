# SPDX-License-Identifier: MIT
"""Counters are honest: whoever reads, whenever, whatever dies, nothing goes down, nothing
is counted twice, and the seconds add up."""

import socket
import threading
import time

import pytest

from harness import HOSTS, PYTHON, Metrics, delay_quantile, wait_for

NODE = ["node", HOSTS / "node_server.js"]
ASYNCIO = [PYTHON, HOSTS / "asyncio_server.py"]
# A level-triggered descriptor that is always ready: every wait returns one event at once.
BUSY = """
import os, select, sys, time
r, w = os.pipe()
os.write(w, b"x")
loop = select.epoll()
loop.register(r, select.EPOLLIN)
print("born", time.monotonic(), flush=True)
for i in range(int(sys.argv[1])):
    loop.poll()
    time.sleep(float(sys.argv[2]))
loop.poll()
print("done", time.monotonic(), flush=True)
os._exit(0)
"""
# A loop that is born, works a little and waits for the rest of its life.
RESTING = """
import os, select, sys, time
r, w = os.pipe()
loop = select.epoll()
loop.register(r, select.EPOLLIN)
print("born", time.monotonic(), flush=True)
for i in range(10):
    os.write(w, b"x")
    loop.poll()
    os.read(r, 1)
    time.sleep(0.01)
loop.poll()
"""


class Watcher:
    """Scrapes again and again, and remembers every series that went down or vanished."""

    def __init__(self, daemon, every=0.02):
        self.daemon = daemon
        self.every = every
        self.scrapes = 0
        self.faults = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        before = {}
        try:
            while not self._end.is_set():
                now = self.daemon.metrics().growing()
                for key, value in before.items():
                    if key not in now:
                        self.faults.append(f"{key} vanished at {value}")
                    elif now[key] < value:
                        self.faults.append(f"{key} went from {value!r} to {now[key]!r}")
                before = now
                self.scrapes += 1
                self._end.wait(self.every)
        except Exception as e:  # pylint: disable=broad-except
            self.faults.append(repr(e))

    def stop(self):
        """End it, and see that it never found a fault."""
        self._end.set()
        self._thread.join()
        assert not self.faults, "\n".join(self.faults[:20])


@pytest.fixture
def watch():
    """watch(daemon): a Watcher, whose findings are faults of the test."""
    watchers = []

    def start(*how):
        watchers.append(Watcher(*how))
        return watchers[-1]

    yield start
    for watcher in watchers:
        watcher.stop()


def begin_schedule(server):
    """Connect, which starts the server's stalls; the connection must be kept."""
    return socket.create_connection(("127.0.0.1", server.listening()))


def count(metrics, group, name="looplag_delay_seconds"):
    return metrics.value(name + "_count", groupname=group, loop="main")


def bucket_from(metrics, name, group, limit):
    """The first bucket whose edge is at least `limit`: (edge, value)."""
    return next(bucket for bucket in metrics.buckets(name, groupname=group)
                if bucket[0] >= limit)


def excess(metrics, group):
    """Seconds in which a request would have waited longer than 0.1 s or a little more."""
    return count(metrics, group) - bucket_from(metrics, "looplag_delay_seconds", group, 0.1)[1]


def over_a_second(metrics, group):
    """How many iterations have ended that took a second or more."""
    name = "looplag_iteration_seconds"
    return count(metrics, group, name) - bucket_from(metrics, name, group, 1.0)[1]


def scrape(daemon):
    """(an instant within the scrape, the metrics, half the time that it took)."""
    before = time.monotonic()
    metrics = daemon.metrics()
    after = time.monotonic()
    return (before + after) / 2, metrics, (after - before) / 2


def test_two_scrapers_at_once_see_the_same(daemon, target, watch):
    server = target(NODE, group="web", env={"STALLS": "30/100"})
    connection = begin_schedule(server)
    watchers = [watch(daemon), watch(daemon, 0.05)]
    wait_for(lambda: all(w.scrapes > 50 for w in watchers), 30, "50 scrapes each")
    assert delay_quantile(daemon.metrics(), "web", "main", 1) > 0.025
    server.stop()
    connection.close()
    wait_for(lambda: daemon.metrics().value("looplag_group_processes", groupname="web") == 0)
    first, second = daemon.metrics(), daemon.metrics()
    for name in ("looplag_delay_seconds", "looplag_delay_window_seconds",
                 "looplag_iteration_seconds"):
        def own(metrics, name=name):
            return {k: v for k, v in metrics.samples.items()
                    if k[0].startswith(name) and ("groupname", "web") in k[1]}
        assert own(first) == own(second)
        assert own(first)


def test_a_stall_counts_while_it_lasts(daemon, target, watch):
    watch(daemon)
    server = target(NODE, group="web", env={"STALLS": "3000/1000", "SECONDS": "1.5"})
    connection = begin_schedule(server)

    def lasted(least):
        at, metrics, half = scrape(daemon)
        late = excess(metrics, "web")
        return (at, late, half, metrics) if late >= least else None

    first = wait_for(lambda: lasted(0.2), 15, "the stall is seen")
    second = wait_for(lambda: lasted(first[1] + 1.5), 15, "the stall goes on")
    longest = daemon.loop("web")["delay"]["max"]
    # Still open: no iteration has ended yet that could have been recorded.
    assert over_a_second(second[3], "web") == 0
    passed = second[0] - first[0]
    assert abs(second[1] - first[1] - passed) <= 0.01 * passed + first[2] + second[2]
    assert longest >= second[1]
    # Over, it is as long as it was, and counted once.
    wait_for(lambda: over_a_second(daemon.metrics(), "web") == 1, 15, "the stall is over")
    edge, _ = bucket_from(daemon.metrics(), "looplag_delay_seconds", "web", 0.1)
    longest = daemon.loop("web")["delay"]["max"]
    assert abs(excess(daemon.metrics(), "web") - (longest - edge)) < 0.03 * longest
    assert 3 <= longest * 1.011
    connection.close()


@pytest.mark.parametrize("command", [NODE, ASYNCIO], ids=["node", "asyncio"])
def test_a_target_killed_within_a_stall_leaves_its_counts(daemon, target, watch, command):
    watch(daemon)
    server = target(command, group="web", env={"STALLS": "600000/300"})
    connection = begin_schedule(server)
    wait_for(lambda: excess(daemon.metrics(), "web") > 1, 15, "a second of the stall")
    at, before, half = scrape(daemon)
    server.process.kill()
    server.process.wait()
    gone = time.monotonic()
    wait_for(lambda: daemon.metrics().value("looplag_group_processes", groupname="web") == 0)
    connection.close()
    first = daemon.metrics()
    # It was stuck until its end, and no longer; all of that is counted, and once. How
    # fast the daemon hears of a death is the machine's affair.
    most = gone - (at - half) + 0.1
    for what in (excess, count):
        assert what(before, "web") <= what(first, "web") <= what(before, "web") + most
    # The dead do not age.
    earlier = time.monotonic()
    wait_for(lambda: time.monotonic() > earlier + 0.5)
    assert count(daemon.metrics(), "web") == count(first, "web")
    assert daemon.metrics().value("looplag_group_loops", groupname="web") == 0


def test_a_target_killed_at_rest_leaves_its_counts(daemon, target, watch):
    watch(daemon)
    server = target([PYTHON, "-c", RESTING], group="rest")
    wait_for(lambda: count(daemon.metrics(), "rest", "looplag_iteration_seconds") >= 10)
    before = daemon.metrics()
    server.process.kill()
    wait_for(lambda: daemon.metrics().value("looplag_group_processes", groupname="rest") == 0)
    after = daemon.metrics()
    for name in ("looplag_iteration_seconds", "looplag_wakeup_latency_seconds"):
        assert count(after, "rest", name) == count(before, "rest", name)
    assert count(after, "rest") >= count(before, "rest")


def test_a_hundred_short_lives_add_up(daemon, target, watch):
    def live(group):
        short = target([PYTHON, "-S", "-E", "-c", BUSY, "20", "0.001"], group=group)
        assert short.wait() == 0, short.stderr
        return float(short.line("done ")) - float(short.line("born "))

    live("one")
    wait_for(lambda: daemon.metrics().value("looplag_group_processes", groupname="one") == 0)
    each = count(daemon.metrics(), "one", "looplag_iteration_seconds")
    assert 19 <= each <= 20
    watcher = watch(daemon)
    lived = sum(live("many") for _ in range(100))
    wait_for(lambda: daemon.metrics().value("looplag_group_processes", groupname="many") == 0)
    metrics = daemon.metrics()
    # Who was looked at between its last wait and its end was in one iteration more.
    assert 0 <= count(metrics, "many", "looplag_iteration_seconds") - 100 * each <= 10
    assert metrics.sum("looplag_rejected_segments_total") == 0
    # The program's own reading of its life begins a little before and ends a little after
    # the loop's, or the other way round where the process took its time to die.
    assert abs(count(metrics, "many") - lived) < 0.1 * lived
    assert watcher.scrapes > 20


def test_the_count_of_the_delay_is_loop_seconds(daemon, target):
    """Within 0.1 % while a loop lives, whether it works or rests, and after its end."""
    busy = target([PYTHON, "-c", BUSY, "1200", "0.01"], group="busy")
    rest = target([PYTHON, "-c", RESTING], group="rest")
    born = {"busy": float(busy.line("born ")), "rest": float(rest.line("born "))}
    wait_for(lambda: time.monotonic() > max(born.values()) + 10, 15)
    at, metrics, half = scrape(daemon)
    for group, since in born.items():
        life = at - since
        assert abs(count(metrics, group) - life) <= 0.001 * life + half, group

    done = float(busy.line("done ", 30))
    busy.wait()
    wait_for(lambda: daemon.metrics().value("looplag_group_processes", groupname="busy") == 0)
    life = done - born["busy"]
    metrics = daemon.metrics()
    assert abs(count(metrics, "busy") - life) <= 0.001 * life
    # Active and idle time are the same seconds, divided.
    states = metrics.sum("looplag_loop_time_seconds_total", groupname="busy")
    assert abs(states - count(metrics, "busy")) <= 0.001 * life


def test_metrics_are_parsed_whole(daemon):
    """A daemon without targets already shows itself, once."""
    metrics = daemon.metrics()
    assert isinstance(metrics, Metrics)
    assert count(metrics, "looplagd") > 0
    assert metrics.value("looplag_group_processes", groupname="looplagd") == 1
