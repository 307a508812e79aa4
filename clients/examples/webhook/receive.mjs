// Receives webhooks: verifies each one, and works on each once.
//
// WEBHOOK_SECRET=whsec_… node receive.mjs [PORT]        npm install
//
// It listens on this machine alone. Clarion calls https addresses, so put what speaks TLS in front of it.

import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const MAX_BYTES = 262_144;
const seen = new Set(); // in earnest: a table with a unique column, written in the transaction that does the work

const server = createServer(async (request, response) => {
  const answer = (status) => response.writeHead(status).end();
  try {
    const parts = [];
    let size = 0;
    for await (const part of request) {
      size += part.length;
      if (size > MAX_BYTES) return answer(413);
      parts.push(part);
    }
    const body = Buffer.concat(parts).toString(); // the very text: JSON written again is another one
    let event;
    try {
      event = webhook.verify(body, request.headers);
    } catch {
      return answer(401);
    }
    const id = request.headers["webhook-id"];
    if (!seen.has(id)) {
      // A call whose answer got lost comes again, under the same id.
      console.log(`${id} ${JSON.stringify(event)}`);
      seen.add(id);
    }
    return answer(204);
  } catch {
    return response.destroy(); // the call broke off: it comes again
  }
});

server.listen(Number(process.argv[2] ?? 8080), "127.0.0.1", () => {
  console.log(`listening on ${server.address().port}`);
});
