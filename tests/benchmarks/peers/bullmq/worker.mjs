// The BullMQ worker. BullMQ's guides advise a concurrency well above 1 for work that waits ("Concurrency") and several
// worker processes ("Multiple workers"), nodemailer's a pool of kept connections without a limit of messages
// ("Delivering bulk mail").

import { Worker } from 'bullmq';
import nodemailer from 'nodemailer';

import { mailOf } from './mail.mjs';
import { connection, QUEUE } from './queue.mjs';

const post = nodemailer.createTransport({
  host: '127.0.0.1',
  port: Number(process.env.PEER_SMTP_PORT),
  name: 'localhost',
  pool: true,
  maxConnections: 20,
  maxMessages: Infinity,
});
const worker = new Worker(QUEUE, async (job) => void (await post.sendMail(mailOf(job.data))), {
  connection: connection({ maxRetriesPerRequest: null }), // as BullMQ asks of a worker's connection
  concurrency: 50,
});
worker.on('error', (error) => console.error(error.message));
worker.on('failed', (job, error) => console.error(`${job?.id}: ${error.message}`));

process.on('SIGTERM', async () => {
  await worker.close();
  post.close();
  process.exit(0);
});

await worker.waitUntilReady();
console.log('{"event": "ready"}');
