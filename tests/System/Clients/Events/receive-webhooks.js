// Receives so many webhooks and says of each which secret verifies it, by the library of Standard Webhooks.
"use strict";
const http = require("http");
const { Webhook } = require("standardwebhooks");

let left = Number(process.argv[2]);
const secrets = process.argv.slice(3);

const verifies = (secret, body, headers) => {
  try {
    return new Webhook(secret).verify(body, headers) !== undefined;
  } catch {
    return false;
  }
};

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks).toString();
    console.log(JSON.stringify({
      id: request.headers["webhook-id"],
      event: JSON.parse(body),
      verified: secrets.map((secret) => verifies(secret, body, request.headers)),
      tampered: secrets.some((secret) => verifies(secret, body.replace("state", "State"), request.headers)),
    }));
    response.writeHead(204).end();
    if (--left === 0) server.close(() => process.exit(0));
  });
});
server.listen(0, "127.0.0.1", () => console.log(`listening ${server.address().port}`));
