# SPDX-License-Identifier: MIT
"""A real Prometheus under test control, for the tests and the demo."""

import json
import shutil
import urllib.parse
import urllib.request

from harness import Program, free_port, short_directory, wait_for


class Prometheus:
    """A Prometheus that scrapes one address every second, with more settings of the scrape, as
    YAML, if need be; or one that does what a configuration says. `options` are more of its
    command line, `wrapper` is put before it. It asks for OpenMetrics; with the feature
    native-histograms for protobuf."""

    def __init__(self, address=None, settings="", config=None, options=(), wrapper=(),
                 features=()):
        self.directory = short_directory()
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        path = self.directory / "prometheus.yml"
        path.write_text(config or
                        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
                        "scrape_configs:\n"
                        "- {job_name: looplag, static_configs: [{targets: ['" + address + "']}]"
                        + (", " + settings if settings else "") + "}\n")
        self.program = Program(
            [*wrapper, "prometheus", f"--config.file={path}",
             f"--web.listen-address={self.address}", "--log.level=warn",
             *([f"--enable-feature={','.join(features)}"] if features else []),
             *(options or [f"--storage.tsdb.path={self.directory / 'data'}"])],
            name="prometheus")
        try:
            wait_for(lambda: self._open("/-/ready"), 30, "Prometheus is ready")
        except AssertionError:
            self.stop()
            raise

    def _open(self, path):
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read().decode()

    def api(self, path, **parameters):
        answer = json.loads(self._open(f"/api/v1/{path}?"
                                       + urllib.parse.urlencode(parameters)))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression):
        """The one value that an instant query gives, LookupError if it gives none."""
        (found,) = self.api("query", query=expression)["result"] or [None]
        if found is None:
            raise LookupError(f"no answer to {expression}")
        return float(found["value"][1])

    def own_metric(self, name):
        for line in self._open("/metrics").splitlines():
            if line.split("{")[0].split(" ")[0] == name:
                return float(line.rsplit(" ", 1)[1])
        raise LookupError(name)

    def stop(self):
        self.program.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
