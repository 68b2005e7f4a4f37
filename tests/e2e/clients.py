# SPDX-License-Identifier: MIT
"""Clients of looplagd's HTTP server."""

import subprocess


def curl(daemon, *options, path="/-/healthy"):
    """Its exit status, what it printed, and what it said."""
    done = subprocess.run(["curl", "-sS", "--max-time", "10", *map(str, options),
                           daemon.url + path], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def trust(made, *more):
    """What curl needs to trust them."""
    return ["--cacert", made.certificate, *more]


def show(made, name):
    return ["--cert", made.directory / f"{name}.crt", "--key", made.directory / f"{name}.key"]


def refused(daemon):
    """How much it has not answered, by reason."""
    return {labels["reason"]: value for labels, value in
            daemon.metrics().series("looplag_http_refused_total")}
