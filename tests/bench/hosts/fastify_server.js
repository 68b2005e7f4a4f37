// SPDX-License-Identifier: MIT
// A server made with Fastify, on a free port, which it tells.
'use strict';

const fastify = require('fastify')();

fastify.get('/', async () => 'ok\n');
fastify.listen({ port: 0, host: '127.0.0.1' }).then(() => {
    console.log(`listening ${fastify.server.address().port}`);
});
