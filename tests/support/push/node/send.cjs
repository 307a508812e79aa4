// Sends notifications to the APNs at PORT, and prints what became of them as JSON: node send.cjs PORT TOPIC TOKEN…
const apn = require("@parse/node-apn");

const [port, topic, ...tokens] = process.argv.slice(2);
const provider = new apn.Provider({
  token: { key: Buffer.from(process.env.KEY), keyId: process.env.KEY_ID, teamId: process.env.TEAM_ID },
  address: "127.0.0.1",
  port: Number(port),
  ca: Buffer.from(process.env.CA),
  production: true,
});
const notification = new apn.Notification({
  alert: { title: "Your order", body: "Größe M • 2 Stück 🎁" },
  badge: 3,
  sound: "default",
  topic,
  expiry: Math.floor(Date.now() / 1000) + 600,
  collapseId: "order-7",
  payload: { clarion: { delivery: "theirs" } },
});
notification.pushType = "alert";
notification.id = "123e4567-e89b-12d3-a456-426655440000";

provider.send(notification, tokens).then(({ sent, failed }) => {
  console.log(JSON.stringify({
    sent: sent.map(({ device }) => device),
    failed: failed.map(({ device, status, response }) => ({ device, status: Number(status), reason: response?.reason })),
  }));
  provider.shutdown();
});
