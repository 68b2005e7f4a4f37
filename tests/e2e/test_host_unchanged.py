# SPDX-License-Identifier: MIT
"""A program with the probe does what it does without it: the same system calls, the same
descriptors, the same under every limit, in a sandbox, with another libc."""

import collections
import os
import resource
import shutil
import subprocess

import pytest

import services
import traces
from harness import HOSTS, host_program, target_environment, wait_for
from segments import EPOLL, POLL


def calls_after_main(log):
    """The names of the system calls from getppid() on, which main makes first."""
    names = [name for _, name, _ in traces.entered(log)]
    return names[names.index("getppid"):]


def run(env, *arguments, prepare=None, wrapper=()):
    result = subprocess.run([*wrapper, host_program("scripted"), *arguments], env=env,
                            preexec_fn=prepare, capture_output=True, text=True, timeout=30)
    return result.returncode, result.stdout, result.stderr


@pytest.fixture
def both(segments):
    """The environments of a program without and with the probe."""
    return dict(os.environ), target_environment(segments.socket)


@pytest.fixture
def traced(both, tmp_path):
    """The system calls of a mode of the scripted program, without and with the probe."""
    def trace(mode):
        logs = []
        for number, env in enumerate(both):
            env, log = dict(env), tmp_path / f"{mode}{number}"
            wrapper = traces.strace(log, (), env)
            assert run(env, mode, wrapper=wrapper) == (0, "done\n", "")
            logs.append(calls_after_main(log))
        return logs
    return trace


def test_after_main_there_is_not_one_more_system_call(traced, segments):
    plain, probed = traced("waits")
    assert probed == plain
    assert len(plain) > 1000
    assert sum(slot.iterations for slot in segments.segments[0].slots()) > 200


def test_a_second_instance_inside_an_iteration_costs_one_call(traced):
    """The loop may have been replaced, which can only be asked of the kernel."""
    plain, probed = map(collections.Counter, traced("nested"))
    assert probed - plain == {"epoll_wait": 1}
    assert not plain - probed


@pytest.mark.parametrize("name", ["redis", "nginx"])
def test_a_server_makes_no_other_kind_of_call(name, both, segments, program, tmp_path):
    names = []
    for number, env in enumerate(both):
        env, log = dict(env), tmp_path / f"strace{number}"
        wrapper = traces.strace(log, (), env)
        service = services.start(name, program, tmp_path, env, wrapper)
        service.load(rounds=5)
        seen = [call for _, call, _ in traces.entered(log)]
        names.append(set(seen[seen.index("listen"):]))
        if number:
            assert sum(len(s.loops()) for s in segments.segments) == sum(service.loops)
        service.stop()
    assert names[1] - names[0] == set()


def limit(what, value):
    return lambda: resource.setrlimit(what, (value, value))


def close(*descriptors):
    return lambda: [os.close(descriptor) for descriptor in descriptors]


LIMITS = {
    **{f"{n} descriptors": limit(resource.RLIMIT_NOFILE, n) for n in range(4, 10)},
    "no file size": limit(resource.RLIMIT_FSIZE, 0),
    "a page of file size": limit(resource.RLIMIT_FSIZE, 4096),
    "16 MiB of memory": limit(resource.RLIMIT_AS, 16 << 20),
    "no locked memory": limit(resource.RLIMIT_MEMLOCK, 0),
    "no further process": limit(resource.RLIMIT_NPROC, 0),
    "no core": limit(resource.RLIMIT_CORE, 0),
    "little stack": limit(resource.RLIMIT_STACK, 64 << 10),
}


@pytest.mark.parametrize("name", LIMITS)
def test_under_limits_it_behaves_the_same(name, both):
    plain, probed = (run(env, "waits", prepare=LIMITS[name]) for env in both)
    assert probed == plain


@pytest.mark.parametrize("closed", [(), (0,), (1,), (2,), (0, 1), (0, 1, 2)])
def test_descriptors_have_the_same_numbers(closed, both, segments):
    plain, probed = (run(env, "fds", prepare=close(*closed)) for env in both)
    assert probed == plain
    wait_for(lambda: len(segments.segments) == 1, 5, "a segment")


def test_a_server_has_the_same_descriptors_open(both, segments, program):
    opened = []
    for env in both:
        server = program([shutil.which("node"), HOSTS / "node_server.js"], env=env)
        server.listening()
        if env is both[1]:
            wait_for(lambda s=server: segments.loops_of(s.pid), 10, "its loop")
        opened.append(sorted(os.listdir(f"/proc/{server.pid}/fd")))
    assert opened[0] == opened[1]


def test_a_sandbox_that_allows_only_the_waits(segments, target):
    sandbox = target([host_program("sandbox")], daemon=segments)
    sandbox.line("survived")
    wait_for(lambda: sorted((slot.kind, slot.waits) for slot in
                            segments.loops_of(sandbox.pid)) == [(EPOLL, 100), (POLL, 86)],
             5, "two loops with all their waits")
    assert sandbox.running


def test_a_program_of_another_libc_runs_and_its_loop_is_seen(both, segments, tmp_path):
    if not shutil.which("musl-gcc"):
        pytest.skip("no musl-gcc to build a program with")
    binary = tmp_path / "scripted-musl"
    subprocess.run(["musl-gcc", "-D_GNU_SOURCE", "-O2", "-w", "-o", binary,
                    HOSTS / "scripted.c"], check=True)
    for env in both:
        done = subprocess.run([binary, "waits"], env=env, capture_output=True, text=True,
                              timeout=30)
        assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
    slot = segments.segments[0].slots()[0]
    assert slot.kind == EPOLL and slot.iterations > 200
    assert slot.events == 2 * 100 - 1
