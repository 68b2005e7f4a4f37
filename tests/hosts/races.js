// SPDX-License-Identifier: MIT
// A Node program whose worker threads end, or are ended, at random moments of short stalls.
//
//	node races.js COUNT SEED
//
// Every third worker comes to its end, calls process.exit(), or is terminated. Says
// "ok COUNT" and exits in the middle of a stall of its own.
'use strict';

const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');

function stall(ms) {
    const end = performance.now() + ms;
    while (performance.now() < end);
}

function pause(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

async function turn() {
    for (let i = 0; i < 5; i++)
        await pause(2);
}

async function worker({ how, ms }) {
    await turn();
    parentPort.postMessage('stalls');
    stall(how === 2 ? 1e9 : ms);
    if (how === 1)
        process.exit(0);
}

async function main() {
    const [count, seed] = process.argv.slice(2).map(Number);
    let state = seed;
    const random = () => (state = (state * 48271) % 2147483647) / 2147483647;
    await turn();
    for (let i = 0; i < count; i++) {
        const ms = 9 + 17 * random();
        const thread = new Worker(__filename, { workerData: { how: i % 3, ms } });
        if (i % 3 === 2)
            thread.once('message', () => setTimeout(() => thread.terminate(), ms));
        await new Promise((resolve, reject) => {
            thread.on('exit', resolve).on('error', reject);
        });
    }
    console.log(`ok ${count}`);
    setTimeout(() => {
        stall(9 + 17 * random());
        process.exit(0);
    }, 5);
}

if (isMainThread)
    main();
else
    worker(workerData);
