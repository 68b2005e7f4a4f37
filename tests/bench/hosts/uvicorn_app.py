# SPDX-License-Identifier: MIT
"""An ASGI application that answers every request; with MONITOR=1, a task looks how much
longer 10 ms of sleep take."""

import asyncio
import os

drifts = []


async def watch_drift():
    loop = asyncio.get_running_loop()
    while True:
        before = loop.time()
        await asyncio.sleep(0.010)
        drifts.append(loop.time() - before - 0.010)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        if os.environ.get("MONITOR") == "1":
            app.monitor = asyncio.create_task(watch_drift())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"ok\n"})
