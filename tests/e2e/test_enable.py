# SPDX-License-Identifier: MIT
"""looplag doctor, enable and disable on the units of a booted Debian."""

import json
import shutil

import pytest

from booted import NODE, REDIS, UNIT, entries, measured, metrics
from browser import Browser
from container import call
from harness import HOSTS, free_port, wait_for
from runs import compile_program


def doctor(machine, word):
    """What looplag doctor finds: the codes by their level, and whether it is carried."""
    told = json.loads(machine.run("looplag", "doctor", "--json", str(word), check=False))
    codes = {level: {finding["code"] for finding in told["findings"]
                     if finding["level"] == level}
             for level in ("obstacle", "warning", "note")}
    assert told["can_carry"] == (not codes["obstacle"])
    return codes, told["carries"]


def put_unit(machine, unit, text):
    (machine.root / "etc/systemd/system" / unit).write_text(text)
    machine.run("systemctl", "daemon-reload")


def test_the_doctor_finds_measured_services_healthy(machine):
    def healthy(word):
        codes, carries = doctor(machine, word)
        return carries and "loops" in codes["note"] and not codes["obstacle"]

    for unit in NODE, REDIS:
        machine.run("systemctl", "restart", unit)
        wait_for(lambda: healthy(unit), 30, f"{unit} is healthy")
        wait_for(lambda: healthy(machine.property(unit, "MainPID")), 30, "its process, too")
        # Nothing to complain of, redis' NoExecPaths= notwithstanding.
        assert doctor(machine, unit)[0]["warning"] == set()


# Settings, what is said of the unit, and what of the process that it has then.
SANDBOXES = [
    ("RestrictAddressFamilies=AF_INET AF_INET6", "families", None),
    ("NoExecPaths=LIBRARY", "noexec-paths", "noexec"),
    ("InaccessiblePaths=/run/looplag", "socket-hidden", None),
    ("SystemCallFilter=~memfd_create\nSystemCallErrorNumber=EPERM", "call-filter",
     "no-segment"),
    ("Environment=LOOPLAG_DISABLE=1", "disabled", "disabled"),
    ("LimitFSIZE=4096", "file-limit", "file-limit"),
    ("SystemCallFilter=~memfd_create", "call-filter", "no-segment"),
    ("SystemCallFilter=~unshare", None, None),
    ("NoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\n"
     "PrivateDevices=yes\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n"
     "RestrictNamespaces=yes\nSystemCallFilter=~@mount @swap\nNoExecPaths=/\n"
     "ExecPaths=/usr /lib", None, None),
]


@pytest.mark.parametrize("settings, of_unit, of_process", SANDBOXES)
def test_the_doctor_knows_what_sandboxes_do(machine, settings, of_unit, of_process):
    library = machine.property(NODE, "Environment").rpartition("LD_PRELOAD=")[2].split()[0]
    dropin = machine.root / f"etc/systemd/system/{NODE}.d/60-test.conf"
    dropin.write_text("[Service]\n" + settings.replace("LIBRARY", library) + "\n")
    try:
        machine.run("systemctl", "daemon-reload")
        codes, _ = doctor(machine, NODE)
        assert of_unit is None or of_unit in codes["obstacle"], codes
        machine.run("systemctl", "restart", NODE)
        wait_for(lambda: machine.get("http://127.0.0.1:8000/"), 30, "the service runs")

        def diagnosed():
            codes, carries = doctor(machine, machine.property(NODE, "MainPID"))
            wanted = {of_unit, of_process} - {None}
            return wanted == codes["obstacle"] and (wanted or carries), codes

        wait_for(lambda: diagnosed()[0], 30, f"the process is diagnosed: {diagnosed()}")
        # And so it is: the daemon knows the process, or does not.
        wait_for(lambda: metrics(machine).sum("looplag_group_processes", groupname=NODE)
                 == (of_unit is None), 30, "the diagnosis is right")
    finally:
        dropin.unlink()
        machine.run("systemctl", "daemon-reload")
        machine.run("systemctl", "restart", NODE)


def test_the_doctor_sees_what_a_shell_has_started(machine):
    unit = "wrapped.service"
    library = machine.property(NODE, "Environment").rpartition("LD_PRELOAD=")[2]
    put_unit(machine, unit,
             f"[Service]\nEnvironment=LD_PRELOAD={library} PORT=8001\n"
             "ExecStart=/bin/sh -c '/usr/bin/node /srv/node_server.js; exit 0'\n")
    machine.run("systemctl", "start", unit)

    def found():
        text = machine.run("looplag", "doctor", unit)
        return (f"{unit} has 1 other process, of which 1 carries the probe, with 1 event loop"
                in text and text.endswith(f"{unit} carries the probe"))

    wait_for(found, 30, "its child is seen")
    assert "skipped" in doctor(machine, unit)[0]["warning"]
    machine.run("systemctl", "stop", unit)


def test_the_doctor_knows_that_privileges_of_files_need_no_new_privileges(machine):
    unit = "privileged.service"
    compile_program(machine.root / "srv/privileged",
                    "#include <unistd.h>\nint main(void) { for (;;) pause(); }")
    (machine.root / "srv/privileged").chmod(0o4755)
    for setting, obstacles in ("NoNewPrivileges=no", {"setuid"}), \
                              ("NoNewPrivileges=yes", set()):
        library = machine.property(NODE, "Environment").rpartition("LD_PRELOAD=")[2]
        put_unit(machine, unit,
                 f"[Service]\nUser=nobody\nEnvironment=LD_PRELOAD={library}\n{setting}\n"
                 "ExecStart=/srv/privileged\n")
        machine.run("systemctl", "stop", unit)
        assert doctor(machine, unit)[0]["obstacle"] == obstacles
        machine.run("systemctl", "restart", unit)
        wait_for(lambda: "privileged" in machine.run(
            "cat", f"/proc/{machine.property(unit, 'MainPID')}/comm"), 30, "it runs")
        codes, carries = doctor(machine, unit)
        assert carries == (not obstacles)
        assert codes["obstacle"] == obstacles | ({"secure"} if obstacles else set())
    machine.run("systemctl", "stop", unit)


# --- looplag enable and disable ---


LIBRARY = f"/usr/lib/{call('gcc', '-print-multiarch').strip()}/liblooplag.so"
WEB_UNIT = """
[Service]
DynamicUser=yes
Environment=PROTOCOL=http STALLS=150/500 PORT=8010
ExecStart=/usr/bin/node /srv/node_server.js
"""
APP_UNIT = """
[Service]
DynamicUser=yes
ExecStart=/usr/bin/gunicorn --chdir /srv --workers 2 --worker-class \\
          uvicorn.workers.UvicornWorker --bind 127.0.0.1:8011 asgi_app:app
"""


def unit_files(machine):
    """Names, kinds, modes and contents of all files that make units."""
    return machine.run("sh", "-c", "cd / && find etc/systemd run/systemd/system -printf "
                       "'%p %y %m %l\n' | sort && find etc/systemd run/systemd/system -type f "
                       "-exec sha256sum {} + | sort")


def say(machine, *words, status=0):
    """Run looplag; what it tells on standard output and on standard error."""
    done = machine.run("sh", "-c", '"$@" 2>/tmp/words; echo $?', "sh", "looplag", *words)
    text, _, ended = done.rpartition("\n")
    told = machine.run("cat", "/tmp/words")
    assert int(ended) == status, (words, done, told)
    return text, told


def dropin(machine, unit, name="50-looplag.conf"):
    """The settings in the drop-in of a unit."""
    text = (machine.root / f"etc/systemd/system/{unit}.d/{name}").read_text()
    return [line for line in text.splitlines() if line[:1] not in "#["]


def maps(machine, unit):
    return machine.run("cat", f"/proc/{machine.property(unit, 'MainPID')}/maps")


@pytest.fixture
def before(machine):
    """The units as they are before; they are again when all is disabled. web runs."""
    shutil.rmtree(machine.root / f"etc/systemd/system/{REDIS}.d", ignore_errors=True)
    for name in "node_server.js", "asgi_app.py":
        shutil.copy(HOSTS / name, machine.root / "srv")
    (machine.root / "etc/systemd/system/app.service").write_text(APP_UNIT)
    put_unit(machine, "web.service", WEB_UNIT)
    machine.run("systemctl", "restart", "web.service")
    files = unit_files(machine)
    yield files
    say(machine, "disable", "--force", "web", "app", REDIS)
    machine.run("systemctl", "stop", "web.service", "app.service", REDIS)


def stall(machine):
    """Have each of them be stuck; those of others are once somebody has asked them."""
    machine.outside("redis-cli", "eval", "for i = 1, 100000000 do end", "0")
    for port in 8010, 8011:
        machine.get(f"http://127.0.0.1:{port}/")


def line_of(name, text):
    """Where that stands in a file of tests/hosts, as a frame of a stack has it."""
    lines = (HOSTS / name).read_text().splitlines()
    return f"/srv/{name}:{1 + lines.index(text)}"


@pytest.fixture
def native_stacks(machine):
    """looplagd may look at redis."""
    dropins = machine.root / f"etc/systemd/system/{UNIT}.d"
    dropins.mkdir()
    shutil.copy(machine.root / "usr/share/looplag/native-stacks.conf", dropins)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", UNIT)


def test_services_are_enabled_seen_stuck_and_disabled(machine, native_stacks, before, program):
    """redis; a Node.js service; an application in two workers of gunicorn, each of which is a
    uvicorn on uvloop. The line is told wherever somebody looks."""
    lines = {REDIS: "lua_pcall", "web.service": "/srv/node_server.js:",
             "app.service": line_of("asgi_app.py", "    time.sleep(0.15)")}
    machine.run("systemctl", "enable", "--now", "looplagd.socket", "looplagd.service")
    machine.run("systemctl", "restart", *lines)
    shown, told = say(machine, "enable", "--now", "redis", "web", "app.service")
    for unit in lines:
        assert dropin(machine, unit) == [f"Environment=LD_PRELOAD={LIBRARY}"]
        assert f"+++ /etc/systemd/system/{unit}.d/50-looplag.conf" in shown
        assert f"{unit} is enabled, and was restarted" in told

    def stuck(unit, line):
        stall(machine)
        text = machine.run("looplag", "stalls", "--group", unit)
        journal = "".join(entry["MESSAGE"] for entry in
                          entries(machine, f"LOOPLAG_GROUP={unit}"))
        return (unit in text and line in text and line in journal and journal
                and metrics(machine).sum("looplag_stalls_total", groupname=unit) > 0)

    for unit, line in lines.items():
        wait_for(lambda: stuck(unit, line), 60, f"the line of {unit}", every=0.2)
    assert metrics(machine).value("looplag_group_loops", groupname="app.service") == 2
    port = free_port()
    program(machine.way_in(port, 9923))
    with Browser() as browser:
        for unit, line in lines.items():
            browser.get(f"http://127.0.0.1:{port}/#group={unit}")
            wait_for(lambda: line in browser.text("#stalls"), 20,
                     lambda: f"{unit} on the page: {browser.text('body')}")
        assert browser.complaints() == []
    shown, told = say(machine, "disable", "--now", *lines)
    for unit in lines:
        assert f"--- /etc/systemd/system/{unit}.d/50-looplag.conf" in shown
        assert f"{unit} is disabled, and was restarted" in told
        assert "liblooplag" not in maps(machine, unit)
    assert unit_files(machine) == before


def test_what_is_enabled_already_is_left_as_it_is(machine, before):
    say(machine, "enable", "web")
    enabled, pid = unit_files(machine), machine.property("web.service", "MainPID")
    shown, told = say(machine, "enable", "web.service")
    assert shown == "" and "is enabled already, by /etc" in told
    assert "systemctl restart web.service" in told
    assert unit_files(machine) == enabled
    say(machine, "enable", "--now", "web")
    assert machine.property("web.service", "MainPID") != pid
    pid = machine.property("web.service", "MainPID")
    say(machine, "enable", "--now", "web")
    assert machine.property("web.service", "MainPID") == pid
    say(machine, "disable", "web")
    assert unit_files(machine) == before
    _, told = say(machine, "disable", "web")
    assert "is not enabled" in told


def test_what_is_shown_only_is_not_done(machine, before):
    for verb in "enable", "disable":
        text, _ = say(machine, verb, "--dry-run", "--json", "--now", "web")
        told = json.loads(text)
        assert told["result"] == {"enable": "done", "disable": "already"}[verb]
        assert ("+[Service]" in told["changes"]) == (verb == "enable")
    assert unit_files(machine) == before



@pytest.mark.parametrize("name, ours", [("10-durable.conf", "50-looplag.conf"),
                                        ("override.conf", "zz-looplag.conf")])
def test_what_a_unit_preloads_already_is_kept(machine, before, name, ours):
    other = machine.root / f"etc/systemd/system/web.service.d/{name}"
    other.parent.mkdir()
    try:
        other.write_text("[Service]\nEnvironment=A=1 \\\n  \"LD_PRELOAD=libeatmydata.so\"\n")
        files = unit_files(machine)
        say(machine, "enable", "--now", "web")
        assert dropin(machine, "web.service", ours) \
            == [f"Environment=LD_PRELOAD=libeatmydata.so:{LIBRARY}"]
        wait_for(lambda: "libeatmydata" in maps(machine, "web.service")
                 and "liblooplag" in maps(machine, "web.service"), 30, "both are loaded")
        say(machine, "disable", "--now", "web")
        assert unit_files(machine) == files
    finally:
        shutil.rmtree(other.parent)


def prepare_root(machine):
    """A root directory for a service, with this one's programs."""
    root = machine.root / "srv/root"
    for name in "usr", "run", "proc", "dev", "sys", "tmp", "srv":
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in "bin", "lib", "lib64":
        if not (root / name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")


# What a unit's sandbox is, and what the drop-in adds to it.
NEEDS = [
    ("NoExecPaths=/\nExecPaths=/usr /lib\nRestrictAddressFamilies=AF_INET\n"
     "Environment=LOOPLAG_HELPER=0",
     ["ExecPaths=/opt/liblooplag.so", "RestrictAddressFamilies=AF_UNIX"]),
    ("TemporaryFileSystem=/run\nSystemCallFilter=~memfd_create @swap",
     ["SystemCallFilter=memfd_create", "BindReadOnlyPaths=-/run/looplag"]),
    ("RootDirectory=/srv/root\nBindReadOnlyPaths=/usr /srv/node_server.js\nUser=nobody\n"
     "DynamicUser=no",
     ["BindReadOnlyPaths=-/opt/liblooplag.so:/run/liblooplag.so",
      "BindReadOnlyPaths=-/run/looplag"]),
]


@pytest.mark.parametrize("sandbox, added", NEEDS)
def test_a_sandbox_gets_what_the_probe_needs_and_nothing_else(machine, before, sandbox, added):
    prepare_root(machine)
    (machine.root / "opt").mkdir(exist_ok=True)
    shutil.copy(machine.root / LIBRARY[1:], machine.root / "opt")
    put_unit(machine, "web.service", WEB_UNIT + sandbox + "\n")
    files = unit_files(machine)
    enable = "env", "LOOPLAG_LIBRARY=/opt/liblooplag.so", "looplag", "enable"
    machine.run(*enable, "--now", "web")
    assert dropin(machine, "web.service")[1:] == added
    wait_for(lambda: machine.get("http://127.0.0.1:8010/") and measured(machine, "web.service"),
             30, "it is measured")
    enabled = unit_files(machine)
    assert machine.run(*enable, "web") == ""
    assert unit_files(machine) == enabled
    # What the unit needs no longer is taken back, or it would be all that is allowed.
    put_unit(machine, "web.service", WEB_UNIT)
    machine.run(*enable, "--now", "web")
    assert dropin(machine, "web.service") == ["Environment=LD_PRELOAD=/opt/liblooplag.so"]
    wait_for(lambda: machine.get("http://127.0.0.1:8010/"), 30, "it answers")
    put_unit(machine, "web.service", WEB_UNIT + sandbox + "\n")
    say(machine, "disable", "web")
    assert unit_files(machine) == files


REFUSED = [
    ("EnvironmentFile=/srv/environment", "goes before every drop-in"),
    ("InaccessiblePaths=/run/looplag", "is hidden from web.service"),
    ("UnsetEnvironment=LD_PRELOAD", "unsets LD_PRELOAD"),
    ("ExecStart=\nExecStart=/srv/static", "is statically linked"),
    ("Environment=LD_PRELOAD=/a\\x01b", "control characters"),
    ("RootDirectory=/srv/root\nMountAPIVFS=no", "MountAPIVFS"),
]


def test_what_cannot_work_is_refused_with_the_reason(machine, before):
    prepare_root(machine)
    (machine.root / "srv/environment").write_text("LD_PRELOAD=libeatmydata.so\n")
    compile_program(machine.root / "srv/static", "int main(void) { return 0; }", "-static")
    for settings, reason in REFUSED:
        put_unit(machine, "web.service", WEB_UNIT + settings + "\n")
        files = unit_files(machine)
        shown, told = say(machine, "enable", "--now", "web", status=1)
        assert shown == "" and reason in told and "web.service was not enabled" in told
        assert unit_files(machine) == files
    assert "no such unit" in say(machine, "enable", "no-such", status=2)[1]


def test_a_drop_in_that_somebody_has_changed_is_left(machine, before):
    say(machine, "enable", "web")
    file = machine.root / "etc/systemd/system/web.service.d/50-looplag.conf"
    file.write_text(file.read_text() + "Nice=5\n")
    changed = unit_files(machine)
    for verb in "enable", "disable":
        assert "was changed" in say(machine, verb, "web", status=1)[1]
        assert unit_files(machine) == changed
    say(machine, "disable", "--force", "web")
    assert unit_files(machine) == before
    file.parent.mkdir()
    file.write_text("[Service]\nNice=5\n")
    foreign = unit_files(machine)
    assert "was not made by looplag" in say(machine, "enable", "--force", "web", status=1)[1]
    assert "was not made by looplag" in say(machine, "disable", "--force", "web")[1]
    assert unit_files(machine) == foreign
    shutil.rmtree(file.parent)


def test_a_template_is_enabled_for_its_instances(machine, before):
    put_unit(machine, "shop@.service", WEB_UNIT.replace("8010", "%i"))
    machine.run("systemctl", "start", "shop@8012", "shop@8013")
    files = unit_files(machine)
    say(machine, "enable", "--now", "--runtime", "shop@")
    for unit in "shop@8012.service", "shop@8013.service":
        wait_for(lambda: machine.get(f"http://127.0.0.1:{unit[5:9]}/")
                 and measured(machine, unit), 30, f"{unit} is measured")
    assert "shop@.service.d/50" in say(machine, "enable", "shop@8012")[1]
    assert "other units" in say(machine, "disable", "shop@8012", status=1)[1]
    say(machine, "disable", "--now", "shop@")
    assert unit_files(machine) == files
    say(machine, "enable", "--now", "shop@8012")
    assert "liblooplag" not in maps(machine, "shop@8013.service")
    wait_for(lambda: "liblooplag" in maps(machine, "shop@8012.service"), 30, "one has it")
    say(machine, "disable", "shop@8012")
    assert unit_files(machine) == files
    machine.run("systemctl", "stop", "shop@8012", "shop@8013")
