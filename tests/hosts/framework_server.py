#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A small HTTP server on a free port, which it tells ("listening PORT"), made with
FRAMEWORK=tornado or gevent."""

import os
import signal
import sys


def run_tornado():
    import tornado.httpserver
    import tornado.ioloop
    import tornado.netutil
    import tornado.web

    class Handler(tornado.web.RequestHandler):
        def get(self):
            self.write("ok\n")

    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server = tornado.httpserver.HTTPServer(tornado.web.Application([("/", Handler)]))
    server.add_sockets(sockets)
    loop = tornado.ioloop.IOLoop.current()
    signal.signal(signal.SIGTERM, lambda *_: loop.add_callback_from_signal(loop.stop))
    print("listening", sockets[0].getsockname()[1], flush=True)
    loop.start()


def run_gevent():
    import gevent
    from gevent.pywsgi import WSGIServer

    def answer(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        return [b"ok\n"]

    server = WSGIServer(("127.0.0.1", 0), answer, log=None)
    server.start()
    gevent.signal_handler(signal.SIGTERM, server.stop)
    print("listening", server.server_port, flush=True)
    server.serve_forever()


{"tornado": run_tornado, "gevent": run_gevent}[os.environ["FRAMEWORK"]]()
sys.exit(0)
