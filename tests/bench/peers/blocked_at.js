// SPDX-License-Identifier: MIT
// What a service does that has blocked-at look for whoever blocks its loop.
'use strict';

require('blocked-at')(() => {});
