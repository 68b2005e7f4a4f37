// SPDX-License-Identifier: MIT
// What a service does that has Sentry look for blocked event loops, and nothing else. Its
// events go to SENTRY_DSN.
'use strict';

const Sentry = require('@sentry/node');
const { eventLoopBlockIntegration } = require('@sentry/node-native');

Sentry.init({
    dsn: process.env.SENTRY_DSN || 'http://key@127.0.0.1:9/1',
    defaultIntegrations: false,
    integrations: [eventLoopBlockIntegration({ threshold: 100, maxEventsPerHour: 100000 })],
});
