// Queues every order of a file, a line each, a hundred in a round trip: `node produce.mjs orders.jsonl`.

import { readFileSync } from 'node:fs';

import { Queue } from 'bullmq';

import { connection, QUEUE } from './queue.mjs';

const A_TRIP = 100;
// Finished jobs are removed and failures retried with backoff, as BullMQ's guides advise for production.
const opts = { attempts: 8, backoff: { type: 'exponential', delay: 1000 }, removeOnComplete: true, removeOnFail: 5000 };

const orders = readFileSync(process.argv[2], 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
const queue = new Queue(QUEUE, { connection: connection() });
await queue.waitUntilReady();
console.log(JSON.stringify({ started: Number(process.hrtime.bigint()) / 1e9 })); // the monotonic clock
const before = process.cpuUsage();
for (let at = 0; at < orders.length; at += A_TRIP) {
  await queue.addBulk(orders.slice(at, at + A_TRIP).map((data) => ({ name: 'send', data, opts })));
}
const { user, system } = process.cpuUsage(before);
console.log(JSON.stringify({ queued: orders.length, cpu_s: (user + system) / 1e6 }));
await queue.close();
process.exit(0);
