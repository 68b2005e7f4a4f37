// SPDX-License-Identifier: MIT
// Node with several event loops, each of which serves HTTP: MODE=workers, the main thread
// and two worker threads on ports of their own; MODE=cluster, a primary and two workers
// that share one. Says "listening PORT...".
'use strict';

const cluster = require('node:cluster');
const http = require('node:http');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');

function serve(tell) {
    const server = http.createServer((request, response) => response.end('ok\n'));
    server.listen(0, '127.0.0.1', () => tell(server.address().port));
}

function collect(count) {
    const ports = [];
    return (port) => {
        ports.push(port);
        if (ports.length === count)
            console.log('listening ' + [...new Set(ports)].join(' '));
    };
}

if (process.env.MODE === 'cluster') {
    if (cluster.isPrimary) {
        const tell = collect(2);
        for (let i = 0; i < 2; i++)
            cluster.fork().on('listening', (address) => tell(address.port));
        process.on('SIGTERM', () => {
            for (const worker of Object.values(cluster.workers))
                worker.process.kill('SIGTERM');
            cluster.disconnect(() => process.exit(0));
        });
    } else {
        serve(() => {});
    }
} else if (isMainThread) {
    const tell = collect(3);
    serve(tell);
    for (let i = 0; i < 2; i++)
        new Worker(__filename).on('message', tell);
    process.on('SIGTERM', () => process.exit(0));
} else {
    serve((port) => parentPort.postMessage(port));
}
