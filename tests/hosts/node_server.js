// SPDX-License-Identifier: MIT
// A Node server that blocks its event loop on a schedule, for tests and the demo.
//
// PROTOCOL  echo: sends every line back (default); http: answers every request "ok"
// STALLS    none, periodic (120 ms every 2 s), random (1 to 500 ms, about one a second),
//           rare (500 ms about every 7 s), brief (20 ms every 0.5 s), or
//           LENGTH_MS/PERIOD_MS
// SECONDS   how long after the first connection stalls may begin (default: 10^9)
// SEED      of the random schedule
// PORT      on 127.0.0.1 (default: any free one; it says "listening PORT")
// MONITOR   1: on SIGTERM, print monitorEventLoopDelay({resolution: 10}) as JSON, seconds
'use strict';

const { monitorEventLoopDelay } = require('node:perf_hooks');
const http = require('node:http');
const net = require('node:net');

const env = process.env;
const seconds = Number(env.SECONDS || 1e9);

// mulberry32: the schedule must be the same in every run, which Math.random() is not.
let state = Number(env.SEED || 1);
function random() {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}

// The next stall: how long after the start of the last one, and how long; milliseconds.
function nextStall() {
    switch (env.STALLS || 'none') {
    case 'none': return null;
    case 'periodic': return { after: 2000, length: 120 };
    case 'random': return { after: 600 + 800 * random(), length: 1 + 499 * random() };
    case 'rare': return { after: 6500 + 1000 * random(), length: 500 };
    case 'brief': return { after: 500, length: 20 };
    }
    const [length, after] = env.STALLS.split('/').map(Number);
    return { after, length };
}

function block(ms) {
    const end = performance.now() + ms;
    while (performance.now() < end);
}

function schedule(begun, last) {
    const stall = nextStall();
    if (!stall || last + stall.after - begun > seconds * 1000)
        return;
    setTimeout(() => {
        block(stall.length);
        schedule(begun, last + stall.after);
    }, last + stall.after - performance.now());
}

const server = env.PROTOCOL === 'http'
    ? http.createServer((request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 3 });
        response.end('ok\n');
    })
    : net.createServer((socket) => {
        socket.setNoDelay(true);
        socket.on('data', (data) => socket.write(data));
    });

server.once('connection', () => schedule(performance.now(), performance.now()));
server.on('connection', (socket) => socket.on('error', () => socket.destroy()));
server.listen(Number(env.PORT || 0), '127.0.0.1', () => {
    console.log(`listening ${server.address().port}`);
});

const monitor = env.MONITOR === '1' ? monitorEventLoopDelay({ resolution: 10 }) : null;
if (monitor)
    server.once('connection', () => monitor.enable());

process.on('SIGTERM', () => {
    if (monitor) {
        console.log('monitor ' + JSON.stringify({
            p50: monitor.percentile(50) / 1e9, p90: monitor.percentile(90) / 1e9,
            p99: monitor.percentile(99) / 1e9, p999: monitor.percentile(99.9) / 1e9,
            max: monitor.max / 1e9, count: monitor.count,
        }));
    }
    process.exit(0);
});
