// SPDX-License-Identifier: MIT
// A Node program that blocks its event loop in ways and for times that are known.
//
//	node stalls.js LOG CASES GAP_MS LENGTHS
//
// CASES are names of the functions below, separated by commas, and take turns. LENGTHS are
// milliseconds, separated by commas, or LENGTHxCOUNT; what cannot be cut to length lasts
// about as long. A gap is between the end of a stall and the next one. Each stall becomes
// a line of LOG, as JSON: its case, the guilty function and lines (those that are marked so
// here), when it began and ended (CLOCK_MONOTONIC, nanoseconds), how long its iteration was
// at most by what libuv says of its idle time, and how long the kernel kept the thread
// waiting for a processor from the turn before it to the turn after it.
// Says "done" after the last one and lives on.
'use strict';

const { execSync, spawn } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const zlib = require('node:zlib');

const [file, names, gap, lengths] = isMainThread ? process.argv.slice(2) : workerData;
const now = process.hrtime.bigint;
const source = fs.readFileSync(__filename, 'utf8').split('\n');

// What stalls need that is made before them, by case; called with the length in ms. All but
// the FIFO can be used again.
const prepare = {};
const prepared = {};
const cases = {};

cases.cpu = function cpuLoop(ms) {
    const end = process.hrtime.bigint() + BigInt(Math.round(ms * 1e6));
    while (process.hrtime.bigint() < end); // guilty: cpuLoop
};

// How many ms it takes: the least of three, as a hiccup would make stalls too short.
function measured(work) {
    return Math.min(...[1, 2, 3].map(() => {
        const start = performance.now();
        work();
        return performance.now() - start;
    }));
}

cases.regexp = function matchSlowly(text) {
    return /^(a+)+$/.test(text); // guilty: matchSlowly
};
prepare.regexp = (ms) => {
    let text = 'aaaaaaaaaaaaaaaaaaaa';
    while (measured(() => cases.regexp(text + '!')) < ms / 2) text = 'a' + text;
    return 'a' + text + '!';
};

cases.json = function parseJson(text) {
    return JSON.parse(text); // guilty: parseJson
};
prepare.json = () => {
    const row = JSON.stringify({ id: 123456, name: 'somebody', tags: ['a', 'b', 'c'], on: true });
    return `[${Array(Math.ceil(50e6 / (row.length + 1))).fill(row).join(',')}]`;
};

cases.exec = function runCommand(ms) {
    execSync(`sleep ${ms / 1000}`); // guilty: runCommand
};

cases.pbkdf2 = function deriveKey(rounds) {
    crypto.pbkdf2Sync('secret', 'salt', rounds, 64, 'sha512'); // guilty: deriveKey
};
prepare.pbkdf2 = (ms) => Math.ceil(20000 * ms / measured(() => cases.pbkdf2(20000)));

cases.gzip = function compress(bytes) {
    zlib.gzipSync(bytes); // guilty: compress
};
prepare.gzip = (ms) => {
    const bytes = crypto.randomBytes(1 << 20);
    return crypto.randomBytes(Math.ceil((1 << 20) * ms / measured(() => cases.gzip(bytes))));
};

cases.atomics = function waitForMemory(ms) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms); // guilty: waitForMemory
};

cases.fifo = function readFifo(name) {
    fs.readFileSync(name); // guilty: readFifo
};
prepare.fifo = (ms) => {
    const name = path.join(path.dirname(file), 'fifo');
    fs.rmSync(name, { force: true });
    execSync(`mkfifo ${name}`);
    spawn('sh', ['-c', `sleep ${0.15 + ms / 1000}; echo >${name}`],
        { stdio: 'ignore' });
    return name;
};

cases.microtasks = async function flood(ms) {
    const end = process.hrtime.bigint() + BigInt(Math.round(ms * 1e6));
    while (process.hrtime.bigint() < end) await null; // guilty: flood
};

// In a worker thread: the same as cpu, on another loop.
cases.worker = function workerLoop(ms) {
    const end = process.hrtime.bigint() + BigInt(Math.round(ms * 1e6));
    while (process.hrtime.bigint() < end); // guilty: workerLoop
};

function guilty(name) {
    const what = cases[name].name;
    const lines = source.flatMap((text, index) =>
        text.endsWith(`// guilty: ${what}`) ? [index + 1] : []);
    return { case: name, function: what, lines };
}

function runDelay() {
    return Number(fs.readFileSync('/proc/thread-self/schedstat', 'utf8').split(' ')[1]);
}

// So far, outside of the loop's wait: what is left of this turn counts in part.
function active() {
    return Number(now()) - performance.eventLoopUtilization().idle * 1e6;
}

function pause(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
}

// Runs in a timer's callback, so that it is one iteration of the loop with nothing else.
function inject(name, argument) {
    return new Promise((resolve) => setTimeout(() => {
        const start = now();
        const result = cases[name](argument);
        if (name === 'microtasks')
            result.then(() => resolve([start, now()]));
        else
            resolve([start, now()]);
    }, 5));
}

async function run(log) {
    const repeated = /^([\d.]+)x(\d+)$/.exec(lengths);
    const all = repeated ? Array(Number(repeated[2])).fill(repeated[1]) : lengths.split(',');
    await pause(200);
    for (const [index, text] of all.entries()) {
        const ms = Number(text);
        const name = names.split(',')[index % names.split(',').length];
        const argument = name === 'fifo' ? prepare.fifo(ms)
            : prepared[name + ms] ??= prepare[name] ? prepare[name](ms) : ms;
        await pause(Number(gap));
        const delayed = runDelay();
        const before = active();
        const [start, end] = await inject(name, argument);
        await pause(1);
        const outer = active() - before;
        log({ ...guilty(name), start: Number(start), end: Number(end), outer_ns: outer,
            run_delay_ns: runDelay() - delayed });
    }
    log(null);
}

function write(entry) {
    if (entry)
        fs.appendFileSync(file, JSON.stringify(entry) + '\n');
    else
        console.log('done');
}

setInterval(() => {}, 1 << 30);
if (!isMainThread)
    run((entry) => parentPort.postMessage(entry));
else if (names === 'worker')
    new Worker(__filename, { workerData: process.argv.slice(2) }).on('message', write);
else
    run(write);
