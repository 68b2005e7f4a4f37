// SPDX-License-Identifier: MIT
// What a service does that has blocked-at look for whoever blocks its loop. With REPORTS,
// what it is told goes to that file.
'use strict';

const fs = require('node:fs');

const file = process.env.REPORTS;
require('blocked-at')((ms, stack) => {
    if (file) {
        const at = Number(process.hrtime.bigint());
        fs.appendFileSync(file, JSON.stringify({ at, seconds: ms / 1e3, stack }) + '\n');
    }
}, { threshold: 100 });
