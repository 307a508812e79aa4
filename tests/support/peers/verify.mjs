// Verifies webhooks with the specification's own library: lines of JSON in, `true` or `false` out.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { Webhook } = createRequire(process.env.PEER_PACKAGES)("standardwebhooks");

console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  const { secret, headers, body } = JSON.parse(line);
  let good = true;
  try {
    new Webhook(secret).verify(body, headers);
  } catch {
    good = false;
  }
  console.log(good);
}
