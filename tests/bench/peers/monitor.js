// SPDX-License-Identifier: MIT
// What a service does that has Node.js itself look at its event loop.
'use strict';

const histogram = require('node:perf_hooks').monitorEventLoopDelay({ resolution: 10 });

histogram.enable();
process.on('exit', () => histogram.disable()); // and so it is not collected before
