# SPDX-License-Identifier: MIT
"""The Debian packages, from `apt install` to `apt purge`, in a booted Debian."""

import shutil

import pytest

import container
import packages
import readme
from container import Container
from harness import SOURCE, Metrics, host_program, wait_for

METRICS = "http://127.0.0.1:9923/metrics"
SERVICE, SOCKET, REDIS = "looplagd.service", "looplagd.socket", "redis-server.service"
TURNS = "turns.service"
# What is made with any package, any user, or as time goes by.
ANYWAY = ("etc/.pwd.lock", "etc/group-", "etc/gshadow-", "etc/passwd-", "etc/shadow-", "srv/",
          "tmp/", "var/cache/apt/", "var/cache/ldconfig/", "var/lib/apt/", "var/lib/dpkg/",
          "var/lib/redis/", "var/log/", "var/tmp/")


def files(root):
    """The names of all that is there."""
    names = (str(path.relative_to(root)) for path in root.rglob("*"))
    return {name for name in names if not name.startswith(ANYWAY)}


@pytest.fixture(scope="module")
def machine():
    """Without looplag; with the packages in /srv."""
    reason = container.why_not() or packages.why_not()
    if reason:
        pytest.skip(reason)

    def prepare(root):
        for deb in packages.packages():
            shutil.copy(deb, root / "srv")

    machine = Container("looplag-package", prepare)
    try:
        machine.boot()
        yield machine
    finally:
        machine.stop()


@pytest.fixture(scope="module")
def before(machine):
    """The files that were there when nothing was installed yet."""
    return files(machine.root)


@pytest.fixture(scope="module")
def installed(machine, before):
    """With the packages installed, and services that carry the library."""
    apt(machine, "install", *(f"/srv/{deb.name}" for deb in packages.packages()))
    shutil.copy(host_program("turns"), machine.root / "srv")
    units = machine.root / "etc/systemd/system"
    (units / TURNS).write_text("[Service]\nExecStart=/srv/turns 0 2000 /srv/turned\n")
    for unit in REDIS, TURNS:
        (units / f"{unit}.d").mkdir()
        shutil.copy(machine.root / "usr/share/looplag/target-dropin.conf",
                    units / f"{unit}.d/50-looplag.conf")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", REDIS, TURNS)
    return machine


def apt(machine, *words):
    """All that it and the packages say."""
    return machine.run("sh", "-c", 'exec "$@" 2>&1', "sh", "env",
                       "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--quiet",
                       "--no-install-recommends", "-o", "APT::Sandbox::User=root", *words)


def metrics(machine):
    return Metrics(machine.get(METRICS))


def shown(machine):
    return metrics(machine).sum("looplag_events_total", groupname=TURNS)


def turned(machine):
    """What the program has counted itself; its first wait is outside of the loop."""
    return int.from_bytes((machine.root / "srv/turned").read_bytes(), "little") - 1


def test_installed_it_runs_without_privilege_and_sees_services(installed):
    for unit in SERVICE, SOCKET:
        assert installed.property(unit, "ActiveState") == "active"
        assert installed.property(unit, "UnitFileState") == "enabled"
    pid = installed.property(SERVICE, "MainPID")
    assert installed.run("stat", "--format=%U", f"/proc/{pid}") == "_looplag"

    def seen():
        installed.outside("redis-cli", "ping")
        return (shown(installed) > 2 and
                metrics(installed).value("looplag_group_loops", groupname=REDIS) == 1)

    wait_for(seen, 30, "both services are measured")
    shutil.copy(SOURCE / "debian/tests/installed", installed.root / "srv")
    installed.run("/srv/installed")


def test_its_files_are_where_their_users_look_for_them(installed):
    root = installed.root
    triplet = container.call("gcc", "-print-multiarch").strip()
    library = f"usr/lib/{triplet}/liblooplag.so"
    dropin = (root / "usr/share/looplag/target-dropin.conf").read_text()
    assert f"\nEnvironment=LD_PRELOAD=/{library}\n" in dropin
    abstraction = (root / "etc/apparmor.d/abstractions/looplag").read_text()
    assert "/{usr/,}lib/@{multiarch}/liblooplag{,-v8}.so mr," in abstraction
    assert (root / library).is_file()
    assert (root / f"usr/lib/{triplet}/liblooplag-v8.so").is_file()
    assert (root / "usr/include/looplag.h").is_file()
    conffiles = installed.run("dpkg-query", "--show", "--showformat=${Conffiles}", "looplag")
    assert [line.split()[0] for line in conffiles.splitlines() if line.strip()] == \
        ["/etc/default/looplag", "/etc/looplag/looplagd.yaml"]
    installed.run("looplagd", "--config.check")


def test_the_first_stalls_on_units_are_caught_as_readme_says(installed):
    """Node.js is older here than in other tests. The drop-in of redis is enable's here."""
    root, units = installed.root, installed.root / "etc/systemd/system"
    (units / f"{REDIS}.d").rename(root / "srv/dropins")
    installed.run("systemctl", "daemon-reload")
    installed.run("systemctl", "restart", REDIS)

    def do(command):
        return installed.run("sh", "-e", "-c", f"cd /root; {command}")

    def caught(*words):
        said = do("looplag stalls --since 5m")
        return all(word in said for word in words)

    def caught_or_again():
        """A stall that was over before looplagd knew the process is none."""
        if caught(f"{REDIS}, main"):
            return True
        do(next(line for line in steps if line.startswith("redis-cli")))
        return False

    steps = readme.commands("On a systemd unit").splitlines()
    do(readme.commands("On Node.js"))
    for command in steps:
        if command.startswith("looplag disable"):
            wait_for(caught_or_again, 30, "the stall of redis is told")
        do(command.replace("apt ", "apt-get --yes "))
    wait_for(lambda: caught("shop.service, main", "> makeReport (/root/shop.js:3)"), 20,
             "the stalls of the unit are told")
    (root / "root/shop.js").unlink()
    assert not (units / f"{REDIS}.d").exists()
    (root / "srv/dropins").rename(units / f"{REDIS}.d")
    installed.run("systemctl", "daemon-reload")
    installed.run("systemctl", "restart", REDIS)


def test_an_upgrade_keeps_counters_and_what_the_operator_has_written(installed, scratch):
    config = installed.root / "etc/looplag/looplagd.yaml"
    config.write_text(config.read_text() + "threshold: 250ms\n")
    socket = installed.property(SOCKET, "ActiveEnterTimestampMonotonic")
    pid = installed.property(SERVICE, "MainPID")
    names = []
    for deb in packages.packages():
        new = packages.upgraded(deb, "9.9.9", scratch)
        shutil.copy(new, installed.root / "srv")
        names.append(f"/srv/{new.name}")
    told = shown(installed)
    apt(installed, "install", *names)
    assert installed.property(SERVICE, "MainPID") != pid
    assert metrics(installed).value("looplag_build_info", version="9.9.9") == 1
    assert shown(installed) >= told
    # It was never closed.
    assert installed.property(SOCKET, "ActiveEnterTimestampMonotonic") == socket
    assert "threshold: 250ms" in config.read_text()
    installed.run("systemctl", "kill", "--kill-who=main", "--signal=TERM", TURNS)
    wait_for(lambda: shown(installed) == turned(installed), 20,
             lambda: f"{shown(installed)} of {turned(installed)} are shown")
    assert metrics(installed).value("looplag_dropped_loops_total", reason="restart") == 0


def test_removed_and_purged_it_leaves_nothing(installed, before):
    installed.run("systemctl", "stop", SERVICE)  # it has the port itself
    installed.run("systemctl", "start", "looplagd-http.socket")
    assert metrics(installed).value("looplag_build_info") == 1
    shutil.rmtree(installed.root / f"etc/systemd/system/{REDIS}.d")
    installed.run("looplag", "enable", "--now", REDIS)
    said = apt(installed, "remove", *packages.NAMES)
    assert f"{REDIS} is disabled" in said
    dropin = f"etc/systemd/system/{TURNS}.d/50-looplag.conf"
    assert f"{dropin} was not made by looplag, and is left" in said
    assert f"liblooplag is still preloaded by:\n/{dropin}\n" in said
    for unit in SERVICE, SOCKET, "looplagd-http.socket":
        assert installed.property(unit, "ActiveState") == "inactive"
    installed.run("test", "!", "-e", "/run/looplag")
    # The service that carried the library goes on, and does without in its next life.
    assert installed.outside("redis-cli", "ping") == "PONG\n"
    installed.run("systemctl", "restart", REDIS)
    assert "cannot be preloaded" not in installed.run("journalctl", "--boot", "--unit", REDIS)
    assert (installed.root / "etc/looplag/looplagd.yaml").exists()
    assert (installed.root / "var/lib/looplag/ledger").exists()
    # Of the third, which has no configuration, nothing is known any more.
    apt(installed, "purge", "looplag", "liblooplag")
    own = {f"etc/systemd/system/{TURNS}", f"etc/systemd/system/{TURNS}.d", dropin}
    assert files(installed.root) - before == own
    assert before - files(installed.root) == set()
    for unit in SERVICE, SOCKET:
        assert installed.property(unit, "LoadState") == "not-found"
    assert installed.run("id", "--name", "--user", "_looplag") == "_looplag"
