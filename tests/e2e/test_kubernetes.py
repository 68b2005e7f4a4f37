# SPDX-License-Identifier: MIT
"""config/kubernetes: kubectl's own types know each field, and what the files say works, as far
as that can be seen without a cluster: in namespaces, with the same mounts."""

import json
import re
import shutil
import subprocess
import sysconfig
import urllib.request

import pytest
import yaml

import container
from harness import (BUILD, HOSTS, LOOPLAGD, PROBE, SOURCE, Metrics, free_port, wait_for)

DIRECTORY = SOURCE / "config" / "kubernetes"
WORKLOADS = {"DaemonSet": "looplagd.yaml", "Deployment": "service.yaml"}
IMAGE_LIBRARIES = "/usr/local/lib/"


def documents(name):
    return list(yaml.safe_load_all((DIRECTORY / name).read_text()))


def workload(kind):
    (found,) = [d for d in documents(WORKLOADS[kind]) if d["kind"] == kind]
    return found


def pod(kind):
    return workload(kind)["spec"]["template"]["spec"]


def lost(before, after, path=""):
    """What of a document is not in another one."""
    if isinstance(before, dict):
        return [p for key, value in before.items() for p in (
            lost(value, after[key], f"{path}.{key}") if isinstance(after, dict) and key in after
            else [f"{path}.{key}"])]
    if isinstance(before, list):
        if not isinstance(after, list) or len(after) != len(before):
            return [path]
        return [p for number, value in enumerate(before)
                for p in lost(value, after[number], f"{path}[{number}]")]
    return [] if before == after else [path]


def as_kubernetes_reads_it(document):
    """Read into kubectl's types and written again, without a cluster."""
    done = subprocess.run(["kubectl", "set", "env", "--local", "-f", "-", "-o", "json",
                           "LOOPLAG_TEST=1"], input=json.dumps(document), text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    for holder in read["spec"]["template"]["spec"]["containers"]:
        holder["env"].remove({"name": "LOOPLAG_TEST", "value": "1"})
    return read


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl here")
@pytest.mark.parametrize("kind", WORKLOADS)
def test_kubernetes_knows_each_field(kind):
    document = workload(kind)
    assert lost(document, as_kubernetes_reads_it(document)) == []
    document["spec"]["template"]["spec"]["hostPit"] = True
    assert lost(document, as_kubernetes_reads_it(document)) == [".spec.template.spec.hostPit"]


def test_documents_belong_together():
    for name in WORKLOADS.values():
        for document in documents(name):
            assert {"apiVersion", "kind", "metadata"} <= document.keys()
    for kind in WORKLOADS:
        spec = workload(kind)["spec"]
        labels = spec["template"]["metadata"]["labels"]
        assert spec["selector"]["matchLabels"].items() <= labels.items()
        volumes = {volume["name"] for volume in pod(kind)["volumes"]}
        used = [mount["name"] for part in ("initContainers", "containers")
                for holder in pod(kind).get(part, []) for mount in holder["volumeMounts"]]
        assert set(used) == volumes
    paths = [volume["hostPath"]["path"] for kind in WORKLOADS for volume in pod(kind)["volumes"]
             if volume["name"] in ("socket", "looplag-socket")]
    assert paths == ["/run/looplag"] * 2
    (config,) = [d for d in documents("looplagd.yaml") if d["kind"] == "ConfigMap"]
    (volume,) = [v for v in pod("DaemonSet")["volumes"] if v["name"] == "configuration"]
    assert volume["configMap"]["name"] == config["metadata"]["name"]
    assert f"/etc/looplag/{next(iter(config['data']))}" in str(
        pod("DaemonSet")["containers"][0]["args"])


@pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool here")
def test_promtool_finds_no_fault_in_the_scrape(tmp_path):
    """But for finding pods, of which Debian's Prometheus knows nothing."""
    (document,) = documents("prometheus.yml")
    (job,) = document["scrape_configs"]
    assert job["job_name"] == "looplag"  # as the alerts have it
    (found,) = job.pop("kubernetes_sd_configs")
    assert found["role"] == "pod"
    assert found["namespaces"]["names"] == [workload("DaemonSet")["metadata"]["namespace"]]
    path = tmp_path / "prometheus.yml"
    path.write_text(yaml.safe_dump(document))
    done = subprocess.run(["promtool", "check", "config", path], capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not shutil.which("dpkg"), reason="not a Debian system")
def test_the_image_has_the_libraries_that_programs_need():
    programs = [BUILD / ".libs" / "looplag", BUILD / ".libs" / "looplagd", BUILD / "looplag",
                LOOPLAGD]
    needed = set()
    for program in filter(lambda path: path.exists(), programs):
        said = subprocess.run(["readelf", "-d", program], capture_output=True, text=True).stdout
        needed.update(re.findall(r"NEEDED.*\[(.*)\]", said))
    image = (DIRECTORY / "Containerfile").read_text()
    for library in needed:
        pattern = f"*/{sysconfig.get_config_var('MULTIARCH')}/{library}"
        owner = subprocess.run(["dpkg", "-S", pattern], capture_output=True, text=True,
                               check=True).stdout.split(":")[0]
        assert owner in ["libc6", *image.split()], (library, owner)


def in_container(mounts, *flags):
    """Words that run a command as a container does: on a read-only root, with directories of
    this test in the places of volumes. Nothing of that is seen outside."""
    words = ["layers=$(mktemp -d)", "mount -t tmpfs none $layers"]
    parents = sorted({place.rsplit("/", 1)[0] for place, _, _ in mounts})
    for number, parent in enumerate(parents):
        layer = f"$layers/{number}"
        words += [f"mkdir -p {layer}/upper {layer}/work",
                  f"mount -t overlay -o lowerdir={parent},upperdir={layer}/upper,"
                  f"workdir={layer}/work none {parent}"]
    for place, source, read_only in mounts:
        words += [f"mkdir -p {place}", f"mount --bind {source} {place}"]
        words += [f"mount -o remount,bind,ro {place}"] if read_only else []
    words += [f"mount -o remount,bind,ro {parent}" for parent in [*parents, "/"]]
    words += ["umount -l $layers", 'exec "$@"']
    return ["unshare", "--mount", *flags, "sh", "-ec", "\n".join(words), "sh"]


def mounts_of(holder, sources):
    return [(mount["mountPath"], sources[mount["name"]], mount.get("readOnly", False))
            for mount in holder["volumeMounts"]]


def environment_of(holder, labels):
    """What Kubernetes makes of env."""
    values = {}
    for entry in holder["env"]:
        field = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath")
        values[entry["name"]] = entry["value"] if not field else labels[
            re.fullmatch(r"metadata\.labels\['(.*)'\]", field)[1]]
    return values


class Node:
    """The directories of a node, and a looplagd as the DaemonSet has it."""

    def __init__(self, directory, program):
        self.directory, self._program = directory, program
        self.sources = {}
        for name in ("configuration", "socket", "state", "looplag"):
            self.sources[name] = directory / name
            self.sources[name].mkdir()
        self.sources["looplag-socket"] = self.sources["socket"]
        self.log = directory / "log"  # the service's own
        self.log.mkdir()
        for path in (self.sources["looplag"], self.log):
            path.chmod(0o777)
        (config,) = [d for d in documents("looplagd.yaml") if d["kind"] == "ConfigMap"]
        for name, text in config["data"].items():
            (self.sources["configuration"] / name).write_text(text)
        self.port = free_port()

    def start_looplagd(self):
        (daemon,) = pod("DaemonSet")["containers"]
        security = daemon["securityContext"]
        assert security["readOnlyRootFilesystem"] and security["capabilities"]["drop"] == ["ALL"]
        assert security["runAsUser"] == 0 and not security["allowPrivilegeEscalation"]
        args = [word.replace("address=:9923", f"address=127.0.0.1:{self.port}")
                for word in daemon["args"]]
        started = self._program(
            [*in_container(mounts_of(daemon, self.sources)), "setpriv", "--bounding-set=-all",
             "--inh-caps=-all", "--no-new-privs", LOOPLAGD, *args], name="looplagd")
        for probe in ("readinessProbe", "livenessProbe"):
            wait_for(lambda path=daemon[probe]["httpGet"]["path"]: self.get(path), 15, probe)
        return started

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return answer.read().decode()

    def events(self, group):
        return Metrics(self.get("/metrics")).value("looplag_events_total", groupname=group,
                                                   loop="main")

    def start_service(self, *command):
        """As the Deployment has it, after its init container."""
        (init,), (service,) = pod("Deployment")["initContainers"], pod("Deployment")["containers"]
        flags = ["--pid", "--fork", "--kill-child", "--mount-proc", "--net", "--ipc", "--uts"]
        words = [word.replace(IMAGE_LIBRARIES, f"{PROBE.parent}/") for word in init["command"]]
        assert words != init["command"]
        done = subprocess.run([str(word) for word in [
            *in_container(mounts_of(init, self.sources), *flags), *words]],
            capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        labels = workload("Deployment")["spec"]["template"]["metadata"]["labels"]
        variables = [f"{name}={value}" for name, value in environment_of(service, labels).items()]
        return self._program(
            [*in_container([*mounts_of(service, self.sources), ("/opt/log", self.log, False)],
                           *flags), "setpriv", "--reuid=1000",
             "--regid=1000", "--clear-groups", "env", *variables, *command])


@pytest.mark.skipif(bool(container.why_not()), reason=str(container.why_not()))
def test_a_pods_service_is_seen_also_after_looplagd_was_rolled_out_anew(program, scratch):
    """With its stalls and their lines, and no counter goes back."""
    node = Node(scratch, program)
    looplagd = node.start_looplagd()
    service = node.start_service("node", HOSTS / "stalls.js", "/opt/log/stalls", "atomics", 300,
                                 "200x1000")

    def stall_in_line():
        return [s for s in json.loads(node.get("/api/v1/stalls?group=web"))["stalls"]
                if "waitForMemory" in [frame.get("function") for frame in s.get("stack", [])]]
    wait_for(stall_in_line, 20, lambda: "a stall of web with the guilty function: "
             f"{node.get('/api/v1/stalls')} {service.stderr}")
    metrics = Metrics(node.get("/metrics"))
    assert metrics.value("looplag_group_processes", groupname="web") == 1
    assert metrics.value("looplag_group_info", groupname="web", runtime="node") == 1
    before = node.events("web")
    assert looplagd.stop() == 0, looplagd.stderr
    node.start_looplagd()
    wait_for(lambda: node.events("web") > before, 20, "the service's counters go on")


@pytest.mark.skipif(bool(container.why_not()), reason=str(container.why_not()))
def test_a_service_runs_on_a_node_without_looplagd(program, scratch):
    node = Node(scratch, program)
    node.start_service("node", "-e", "console.log('at work')").line("at work", 20)
