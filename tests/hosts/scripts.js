// SPDX-License-Identifier: MIT
// A Node program that runs in one way of many, for what captures could do to it.
//
//	node scripts.js CASE
//
// Those that compute something say it as a line, the same in every run.
'use strict';

const { fork } = require('node:child_process');
const cluster = require('node:cluster');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Worker, isMainThread, workerData } = require('node:worker_threads');
const zlib = require('node:zlib');

const name = isMainThread ? process.argv[2] : workerData;
const cases = {};

// Date.now() is no JavaScript: nothing else is innermost meanwhile.
function spin(ms) {
    const end = Date.now() + ms;
    while (Date.now() < end);
}

function often(callback) {
    setInterval(callback, 5);
    setInterval(() => {}, 5);
}

cases['main and worker'] = () => {
    new Worker(__filename, { workerData: 'worker loop' });
    often(function mainLoop() { spin(300); });
};
cases['worker loop'] = () => often(function workerLoop() { spin(300); });

cases.unicode = () => often(function größe() {
    (function 函数() { spin(300); })();
});
cases.latin = () => often(function größe() { spin(300); });

// Deeper than what fits into a record.
cases.deep = () => often(function start() {
    (function descend(depth) {
        if (depth)
            return descend(depth - 1) + 1;
        spin(300);
        return 0;
    })(8000);
});

cases.eval = () => often(() => eval(
    'function evaluated() {\n const end = Date.now() + 300;\n' +
    ' while (Date.now() < end);\n}\nevaluated()'));

cases.module = () => {
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'looplag-')), 'esm.mjs');
    fs.writeFileSync(file, 'export function imported(ms) {\n' +
        '    const end = Date.now() + ms;\n    while (Date.now() < end);\n}\n');
    import(file).then(({ imported }) => {
        fs.rmSync(path.dirname(file), { recursive: true });
        often(() => imported(300));
    });
};

cases.async = () => {
    async function outer() {
        await null;
        (function inner() { spin(300); })();
    }
    often(outer);
};

// Names, getters and a hook that would run user code if a stack were made of them.
cases['user code'] = () => {
    let touched = 0;
    Error.prepareStackTrace = () => { touched++; return 'mine'; };
    Error.stackTraceLimit = 1;
    class Trap {
        get [Symbol.toStringTag]() { touched++; return 'Trap'; }
        method() { spin(300); }
    }
    const proxy = new Proxy(new Trap(), { get(target, key) {
        if (key !== 'method')
            touched++;
        return target[key];
    } });
    Object.defineProperty(Trap.prototype, 'constructor',
        { get() { touched++; return Trap; } });
    Object.defineProperty(Trap.prototype.method, 'name',
        { get() { touched++; return 'x'; } });
    const method = Trap.prototype.method;
    often(() => {
        Reflect.apply(method, proxy, []);
        console.log(`touched ${touched}`);
    });
};

// Exceptions in flight, generators, finally, proxies, sorts and promises: one number.
cases.compute = async () => {
    let sum = 0;
    function fail(depth) {
        try {
            if (!depth)
                throw new Error('at the bottom');
            fail(depth - 1);
        } catch (e) {
            sum += depth;
            if (depth < 20)
                throw new TypeError(e.message, { cause: e });
        } finally {
            sum += 1;
        }
    }
    function* numbers(n) {
        try {
            for (let i = 0; i < n; i++)
                yield i;
        } finally {
            sum += 3;
        }
    }
    for (let round = 0; round < 40; round++) {
        for (let i = 0; i < 2000; i++) {
            fail(20);
            for (const n of numbers(10))
                if ((sum += n) && n === 8)
                    break;
        }
        const list = Array.from({ length: 2000 }, (_, i) => (i * 7919 + round) % 2003);
        list.sort((a, b) => a - b);
        sum += list[round] + JSON.parse(JSON.stringify(list)).length;
        sum += zlib.gunzipSync(zlib.gzipSync(Buffer.from(list.join()))).length;
        sum += 'aXbXc'.repeat(300).replace(/X/g, () => 'y').length;
        await Promise.reject(new Error('awaited')).catch(() => { sum += 5; });
        await new Promise((resolve) => setTimeout(resolve, 1));
    }
    console.log(`sum ${sum}`);
};

// Much memory on the JavaScript heap and by malloc.
cases.allocate = () => {
    let kept = [];
    const bytes = Buffer.alloc(30000, 'abcdefg');
    setInterval(() => {
        const end = Date.now() + 40;
        while (Date.now() < end) {
            kept.push({ list: new Array(50).fill(kept.length), text: `${kept.length}` });
            if (kept.length > 50000)
                kept = [];
            zlib.inflateSync(zlib.deflateSync(bytes, { level: 1 }));
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 0.01);
        }
        console.log('count');
    }, 1);
    setInterval(() => {}, 1);
};

function turns(count, begin, done) {
    let at = 0;
    (function next() {
        if (at === count)
            return done();
        begin(at++, next);
    })();
}

cases.workers = () => turns(Number(process.argv[3]), (i, next) => {
    const how = i % 4;
    const worker = new Worker(__filename, { workerData: `worker ${how}` });
    worker.on('error', (e) => { if (e.message !== 'thrown') throw e; });
    worker.on('exit', next);
    if (how === 1)
        worker.once('message', () => setTimeout(() => worker.terminate(), i % 30));
}, () => { console.log('ok'); });

function brief(end) {
    // Garbage of all ages: taking the isolate down takes its time.
    const kept = Array.from({ length: 20000 }, (_, i) => ({ i, s: `${i}` }));
    let left = 4;
    const timer = setInterval(() => {
        spin(4);
        if (left-- === 0) {
            clearInterval(timer);
            end(kept);
        }
    }, 1);
}
cases['worker 0'] = () => brief(() => {});
cases['worker 1'] = () => {
    require('node:worker_threads').parentPort.postMessage('here');
    brief(() => { for (;;); });
};
cases['worker 2'] = () => brief(() => process.exit(0));
cases['worker 3'] = () => brief(() => { throw new Error('thrown'); });

cases.children = () => turns(Number(process.argv[3]), (i, next) =>
    fork(__filename, [`child ${i % 2}`]).on('exit', (code, signal) => {
        if (code !== i % 2 || signal)
            throw new Error(`child ${i}: ${code} ${signal}`);
        next();
    }), () => { console.log('ok'); });
cases['child 0'] = () => brief(() => { process.disconnect(); });
cases['child 1'] = () => brief(() => { spin(3); process.exit(1); });

cases.cluster = () => {
    if (cluster.isPrimary)
        return turns(Number(process.argv[3]), (i, next) =>
            cluster.fork().on('exit', (code, signal) => {
                if (code || signal)
                    throw new Error(`worker ${i}: ${code} ${signal}`);
                next();
            }), () => { console.log('ok'); });
    brief(() => process.exit(0));
};

cases.idle = () => {
    setInterval(() => {}, 5);
    console.log('ready');
};

cases[name]();
