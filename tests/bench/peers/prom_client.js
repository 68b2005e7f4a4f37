// SPDX-License-Identifier: MIT
// What a service does that exports prom-client's default metrics.
'use strict';

require('prom-client').collectDefaultMetrics();
