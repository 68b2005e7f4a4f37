# SPDX-License-Identifier: MIT
"""What befalls the machine or a process as a whole: somebody stops the service or looplagd,
others take the processors, clocks are shifted, memory or descriptors run out. No stall is
told that was none, or its cause says what has happened, and nothing is lost.

LOOPLAG_STOP_SECONDS is how long processes are stopped.
"""

import os
import resource
import signal
import time
from pathlib import Path

import pytest

import injected
import services
from harness import HOSTS, PYTHON, cores, host_program, target_environment, wait_for
from restarts import Restarted

SECONDS = float(os.environ.get("LOOPLAG_STOP_SECONDS", "3"))
EVENTS = "looplag_events_total"
MISSED = "looplag_missed_iterations_total"
pytestmark = pytest.mark.timeout(240 + 4 * SECONDS)
RING = 32  # long iterations that a segment holds of each loop
# A loop that works for 40 ms of processor time now and then.
LITTLE_WORK = """
import select, time
loop = select.epoll()
print("begun", flush=True)
while True:
    loop.poll(0.1)
    end = time.thread_time() + 0.04
    while time.thread_time() < end:
        pass
"""


def counted(daemon, group, name=EVENTS):
    return daemon.metrics().sum(name, groupname=group)


def is_counted(daemon, group, events):
    wait_for(lambda: counted(daemon, group) >= events, 15,
             lambda: f"{group}: {counted(daemon, group)} of {events}")
    assert counted(daemon, group) == events


def long_stalls(daemon, group):
    """Those that a stop would have made; a busy machine makes short ones."""
    return [stall for stall in injected.stalls(daemon, group) if stall["seconds"] > SECONDS / 3]


def state_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0]


def stop_for(program, seconds=SECONDS, meanwhile=lambda: None):
    """Stop it, have something happen, and have it go on after so many seconds in all."""
    program.send(signal.SIGSTOP)
    wait_for(lambda: state_of(program.pid) == "T", 5)
    end = time.monotonic() + seconds
    meanwhile()
    time.sleep(max(0, end - time.monotonic()))  # that is what befalls it
    program.send(signal.SIGCONT)


def test_a_service_that_is_stopped_at_rest_does_not_stall(daemon, program, scratch):
    """A shell's Ctrl-Z, a debugger, a frozen container."""
    service = services.start("redis", program, scratch,
                             target_environment(daemon.socket, "redis"))
    service.load(rounds=5)
    wait_for(lambda: counted(daemon, "redis"), 10)
    stop_for(service.program)
    service.load(rounds=5)
    assert not long_stalls(daemon, "redis")


def test_a_service_that_is_stopped_at_work_is_stopped(daemon, target, scratch):
    """Each of its turns is work that takes some time; the stall is as long as the stop."""
    turns = target([host_program("turns"), 0, 50000, scratch / "count", "exit"],
                   group="turns")
    wait_for(lambda: counted(daemon, "turns") > 5, 10)
    stop_for(turns)
    stalls = wait_for(lambda: [stall for stall in injected.stalls(daemon, "turns")
                               if not stall["open"] and stall["seconds"] >= SECONDS * 0.9], 10,
                      lambda: injected.stalls(daemon, "turns"))
    assert [stall["cause"] for stall in stalls] == ["stopped"]
    assert stalls[0]["seconds"] < SECONDS + 1


def own_lateness(metrics):
    """Longest time in which looplagd did not do what it was to do, as it says itself."""
    def longest(name):
        buckets, before = metrics.buckets(name, groupname="looplagd"), 0
        edges = [edge for (edge, value), last in zip(buckets, [(0, 0), *buckets])
                 if value > last[1]]
        return max(edges, default=0)
    return max(longest("looplag_iteration_seconds"), longest("looplag_wakeup_latency_seconds"))


def test_a_daemon_that_is_stopped_misses_nothing(daemon, target, scratch):
    """It finds what the segments hold, tells of no stall that was none, and says itself how
    late it was."""
    quiet = target([PYTHON, HOSTS / "turns.py"], group="quiet")
    turns = target([host_program("turns"), 0, 500, scratch / "count", "exit"],
                   group="turns")
    for group in "quiet", "turns":
        wait_for(lambda: counted(daemon, group) > 20, 10)
    host = None

    def meanwhile():
        nonlocal host
        host = injected.start(target, scratch, "c", "cpu", [250] * 8, gap_ms=20, group="host")
        short = target([host_program("turns"), 50, 100, scratch / "short", "exit"],
                       group="short")
        assert short.wait() == 0
        host.done()

    before = own_lateness(daemon.metrics())
    stop_for(daemon.program, max(SECONDS, 3), meanwhile)
    found = wait_for(lambda: injected.stalls(daemon, "host"), 10)
    match = injected.match(injected.read_log(host.path), found)
    assert not match.strange and len(match.pairs) == 8
    # What was cut to length on a busy machine may have become too short for a stall.
    assert all(len(reports) == (one.seconds > 0.1) for one, reports in match.pairs)
    assert not long_stalls(daemon, "quiet") and not long_stalls(daemon, "turns")
    is_counted(daemon, "short", 49)
    for program, group, outside in (quiet, "quiet", 0), (turns, "turns", 1):
        program.send(signal.SIGTERM)
        is_counted(daemon, group, int(program.line("events ")) - outside)
    assert before < 1 and own_lateness(daemon.metrics()) >= SECONDS * 0.8


def test_what_a_stopped_daemon_could_not_see_is_counted(daemon, target, scratch):
    """More stalls than a segment holds."""
    turns = target([host_program("turns"), 0, 500, scratch / "first", "exit"],
                   group="first")
    wait_for(lambda: counted(daemon, "first") > 20, 10)
    made = RING + 10

    def meanwhile():
        nonlocal turns
        turns = target([host_program("turns"), made, 110000, scratch / "count"],
                       group="many")
        turns.line("events ", 60)

    stop_for(daemon.program, 0, meanwhile)
    is_counted(daemon, "many", made - 1)
    told = len(injected.stalls(daemon, "many"))
    assert told == daemon.metrics().sum("looplag_stalls_total", groupname="many")
    assert told + daemon.metrics().value(MISSED) == made


@pytest.mark.quiet
@pytest.mark.parametrize("shares", [False, True], ids=["service", "service and looplagd"])
def test_others_that_take_the_processor_are_the_cause(start_daemon, target, program, shares):
    """Its turns take five times as long as they should."""
    cpu = cores()[0]
    daemon = start_daemon(cpu=cpu if shares else None)
    started = target([PYTHON, "-c", LITTLE_WORK], group="starved", cpu=cpu,
                     daemon=daemon)
    started.line("begun")
    for _ in range(4):
        program(["sh", "-c", "while :; do :; done"], cpu=cpu)
    stalls = wait_for(lambda: (found := [stall for stall in injected.stalls(daemon, "starved")
                                         if not stall["open"]])[4:] and found, 60)
    causes = [stall["cause"] for stall in stalls]
    # Who gets no processor to look, or looks at the last moment, does not know.
    assert set(causes) <= {"starved", "unknown"}
    assert shares or causes.count("starved") * 2 > len(causes), causes


def run_short(target, daemon, scratch, count):
    """Start so many targets of 99 events each; they wait for ever then."""
    return [target([host_program("turns"), 100, 1000, scratch / f"short{i}"], group="short",
                   daemon=daemon) for i in range(count)]


def test_without_descriptors_registrations_wait(daemon, target, scratch):
    turns = target([host_program("turns"), 0, 1000, scratch / "count", "exit"], group="turns")
    wait_for(lambda: counted(daemon, "turns") > 20, 10)
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir(f"/proc/{daemon.pid}/fd")))
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
    spent = metrics_cpu(daemon.pid)
    for program in run_short(target, daemon, scratch, 20):
        program.line("events ")
    wait_for(lambda: "cannot accept a registration" in daemon.program.stderr, 10)
    time.sleep(1)  # it must not spin meanwhile
    assert metrics_cpu(daemon.pid) - spent < 0.5
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limits)
    is_counted(daemon, "short", 20 * 99)
    turns.send(signal.SIGTERM)
    is_counted(daemon, "turns", int(turns.line("events ")) - 1)
    assert daemon.metrics().sum("looplag_rejected_segments_total") == 0
    assert daemon.program.stderr.count("cannot accept a registration") == 1


def metrics_cpu(pid):
    """Processor seconds of a process; the scrape itself needs a descriptor."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.not_sanitized("without memory it ends")
def test_without_memory_the_known_go_on_and_the_others_are_counted(daemon, target, scratch):
    turns = target([host_program("turns"), 0, 1000, scratch / "count", "exit"], group="turns")
    wait_for(lambda: counted(daemon, "turns") > 20, 10)
    with open(f"/proc/{daemon.pid}/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    limits = resource.prlimit(daemon.pid, resource.RLIMIT_AS)
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, (used, limits[1]))
    count = 100
    for program in run_short(target, daemon, scratch, count):
        program.line("events ")
    time.sleep(1)  # it has heard of all of them
    assert daemon.program.running, daemon.program.stderr
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, limits)
    refused = daemon.metrics().value("looplag_rejected_segments_total", reason="resources")
    assert refused > 0
    is_counted(daemon, "short", (count - refused) * 99)
    turns.send(signal.SIGTERM)
    is_counted(daemon, "turns", int(turns.line("events ")) - 1)


@pytest.fixture
def memory_group():
    """A control group of the old kind, for processes that shall have little memory."""
    group = Path(f"/sys/fs/cgroup/memory/looplag-{os.getpid()}")
    try:
        group.mkdir()
    except OSError as e:
        pytest.skip(f"no control group for memory: {e}")
    yield group
    wait_for(lambda: not (group / "cgroup.procs").read_text(), 10)
    group.rmdir()


@pytest.mark.not_sanitized("it takes memory of its own")
def test_a_daemon_that_is_killed_for_its_memory_goes_on(target, scratch, memory_group):
    with Restarted(manager=True) as looplagd:
        looplagd.kill()
        looplagd.prefix = ["sh", "-c", f'echo $$ >{memory_group}/cgroup.procs && exec "$@"', "sh"]
        looplagd.start()
        turns = target([host_program("turns"), 0, 1000, scratch / "count", "exit"],
                       group="turns", daemon=looplagd)
        wait_for(lambda: counted(looplagd, "turns") > 20, 10)
        used = int((memory_group / "memory.usage_in_bytes").read_text())
        (memory_group / "memory.limit_in_bytes").write_text(str(used + (1 << 20)))
        run_short(target, looplagd, scratch, 400)
        wait_for(lambda: not looplagd.program.running, 60, "it was killed")
        assert looplagd.program.process.returncode == -signal.SIGKILL
        looplagd.prefix = []
        looplagd.start()
        # The one that it had in hand, most likely, as that is what took memory.
        lost = looplagd.metrics().value("looplag_dropped_loops_total", reason="restart")
        assert lost <= 1
        is_counted(looplagd, "short", (400 - lost) * 99)
        turns.send(signal.SIGTERM)
        is_counted(looplagd, "turns", int(turns.line("events ")) - 1)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs a time namespace")


@needs_root
@pytest.mark.parametrize("whose", ["the service's", "both"])
def test_clocks_that_are_shifted_as_by_a_suspension(start_daemon, program, target, scratch,
                                                    whose):
    """After a suspension the clock that counts it is ahead of the other one; in a container
    that was moved from another machine both are somewhere else."""
    shift = ["unshare", "--time", "--monotonic", "100000", "--boottime", "900000"]
    if whose == "both":
        shift[2:4] = []
    with Restarted() as looplagd:
        looplagd.kill()
        looplagd.prefix = shift if whose == "both" else []
        looplagd.start()
        began = time.time()
        turns = target([*shift, host_program("turns"), 0, 150000, scratch / "count",
                        "exit"], group="turns", daemon=looplagd)
        wait_for(lambda: counted(looplagd, "turns") > 3, 10)
        looplagd.kill()
        looplagd.start()
        wait_for(lambda: counted(looplagd, "turns") > 8, 10)
        for stall in wait_for(lambda: injected.stalls(looplagd, "turns"), 10):
            wall = stall["start"] / 1e9 + time.time() - time.monotonic()
            assert began - 1 < wall < time.time() and 0.14 < stall["seconds"] < 5
        life = looplagd.metrics().value("looplag_delay_seconds_count", groupname="turns")
        assert life < time.time() - began + 1
        assert looplagd.metrics().value("looplag_dropped_loops_total", reason="restart") == 0
        os.killpg(turns.pid, signal.SIGTERM)
        is_counted(looplagd, "turns", int(turns.line("events ")) - 1)
