# SPDX-License-Identifier: MIT
"""An ASGI application that blocks the loop of its worker for 150 ms with each request."""

import time


def make_report():
    time.sleep(0.15)


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError  # which servers take for an answer
    make_report()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok\n"})
