// Triggers one order confirmation and watches it until every recipient is accounted for.
//
//   npm ci && node trigger.mjs [CAMPAIGN] [EMAIL] [ORDER.json]
//
// Without arguments: the campaign in examples/campaigns/order-confirmation, once it is applied and activated.
// CLARION_SERVER says where the server is; CLARION_PROTOS where the contract is, if not in this repository.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const protos = process.env.CLARION_PROTOS ?? here("../../../protos");
const server = process.env.CLARION_SERVER ?? "127.0.0.1:7171";
const [
  campaign = "order-confirmation",
  email = "ana@example.com",
  file = here("../../../examples/order.json"),
] = process.argv.slice(2);

const definition = loadSync("clarion/v1/trigger_service.proto", {
  includeDirs: [protos, `${protos}/vendor`],
  keepCase: true, // the contract's own field names
  enums: String,
  longs: Number,
  defaults: true,
  oneofs: true,
});
const { TriggerService } = grpc.loadPackageDefinition(definition).clarion.v1;
const triggers = new TriggerService(server, grpc.credentials.createInsecure());

// google.protobuf.Value and Struct, which hold JSON, are messages like any other here.
function toValue(json) {
  if (json === null) return { nullValue: 0 };
  if (Array.isArray(json)) return { listValue: { values: json.map(toValue) } };
  switch (typeof json) {
    case "object": return { structValue: toStruct(json) };
    case "number": return { numberValue: json };
    case "boolean": return { boolValue: json };
    default: return { stringValue: String(json) };
  }
}

function toStruct(object) {
  return { fields: Object.fromEntries(Object.entries(object).map(([key, value]) => [key, toValue(value)])) };
}

function createTrigger(request) {
  const deadline = Date.now() + 10_000;
  return new Promise((resolve, reject) => {
    triggers.createTrigger(request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

// An async iterator over the steps; a broken stream goes on behind the last answer.
async function* watchTrigger(name) {
  let token = "";
  for (let failures = 0; ; ) {
    try {
      for await (const step of triggers.watchTrigger({ name, resume_token: token })) {
        token = step.resume_token;
        failures = 0;
        yield step;
      }
      return;
    } catch (error) {
      if (error.code !== grpc.status.UNAVAILABLE || ++failures > 10) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 200 * 2 ** failures));
    }
  }
}

async function main() {
  const order = JSON.parse(readFileSync(file, "utf8"));
  const { trigger } = await createTrigger({
    campaign: `campaigns/${campaign}`,
    recipients: [{ user_id: email, addresses: { email } }],
    context: toStruct(order.context),
    request_id: randomUUID(), // a repeat with the same id is answered, not sent twice
  });
  console.log(`accepted ${trigger.name}`);

  let counts = trigger.counts;
  for await (const { event, snapshot, change } of watchTrigger(trigger.name)) {
    if (event === "heartbeat") continue;
    counts = (snapshot ?? change).counts;
    for (const { delivery, state } of change?.deliveries ?? []) console.log(`${delivery.split("/").pop()} ${state}`);
  }
  console.log(`sent ${counts.sent} of ${counts.accepted}`);
  return counts.sent === counts.accepted ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  // What gRPC raises has a status and `details`, the server's own words; everything else is about the file.
  console.error(error.details ? `${grpc.status[error.code]}: ${error.details}` : `${file}: ${error.message}`);
  process.exitCode = 1;
} finally {
  triggers.close();
}
