// SPDX-License-Identifier: MIT
// A Node program that runs the synchronous loops of execSync: WHEN=callback, for 0.2 s five
// times inside a timer's callback; WHEN=start, before its own loop runs. Then it idles and
// says "done".
'use strict';

const { execSync } = require('node:child_process');

function block(times) {
    if (times === 0) {
        console.log('done');
        setInterval(() => {}, 1e6);
        return;
    }
    execSync('sleep 0.2', { stdio: 'pipe' });
    setTimeout(block, 2, times - 1);
}

if (process.env.WHEN === 'start') {
    for (let i = 0; i < 3; i++)
        execSync('echo 0123456789abcdef');
    setTimeout(block, 5, 0);
} else {
    // Its own loop turns first, so that there is one to be blocked.
    let turns = 0;
    const timer = setInterval(() => {
        if (++turns < 5)
            return;
        clearInterval(timer);
        block(5);
    }, 2);
}
