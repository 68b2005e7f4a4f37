# SPDX-License-Identifier: MIT
"""A real Prometheus under test control, for the tests and the demo."""

import json
import shutil
import urllib.parse
import urllib.request

from harness import Program, free_port, short_directory, wait_for


class Prometheus:
    """A Prometheus that scrapes one address every second, with more settings of the scrape, as
    YAML, if need be."""

    def __init__(self, address, settings=""):
        self.directory = short_directory()
        self.url = f"http://127.0.0.1:{free_port()}"
        config = self.directory / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
            "scrape_configs:\n"
            "- {job_name: looplag, static_configs: [{targets: ['" + address + "']}]"
            + (", " + settings if settings else "") + "}\n")
        self.program = Program(
            ["prometheus", f"--config.file={config}", f"--web.listen-address={self.url[7:]}",
             f"--storage.tsdb.path={self.directory / 'data'}", "--log.level=warn"])
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
