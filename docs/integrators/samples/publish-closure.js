// Says on Huzhu's broker that a provider is closed, or that it is open again.
//
//   npm install amqplib cloudevents
//   node publish-closure.js amqp://clinic-rota:…@broker.example/huzhu 6f9619ff-8b86-4d01-b42d-00cf4fc964ff closed
//   node publish-closure.js amqp://clinic-rota:…@broker.example/huzhu 6f9619ff-8b86-4d01-b42d-00cf4fc964ff reopened
"use strict";
const amqp = require("amqplib");
const { CloudEvent, HTTP } = require("cloudevents");

async function main(broker, provider, word) {
  const event = new CloudEvent({
    // id and time are made by the library; the same event sent again keeps its id.
    source: "//clinic.example/rota",
    type: `org.huzhu.provider.${word}.v1`,
    subject: provider,
    datacontenttype: "application/json",
    data: { reason: word === "closed" ? "lockdown" : "the measure is over" },
  });

  const options = { persistent: true, mandatory: true };
  let body;
  if (word === "closed") {
    // Binary mode: the attributes are headers, the body is the data. HTTP writes ce-id where AMQP writes cloudEvents_id.
    const message = HTTP.binary(event);
    body = message.body;
    options.contentType = "application/json";
    options.headers = Object.fromEntries(
      Object.entries(message.headers).filter(([name]) => name.startsWith("ce-")).map(([name, value]) => [`cloudEvents_${name.slice(3)}`, String(value)]));
  } else {
    // Structured mode: the whole event is the body. Either mode does for either word.
    body = HTTP.structured(event).body;
    options.contentType = "application/cloudevents+json";
  }

  const connection = await amqp.connect(broker);
  const channel = await connection.createConfirmChannel();
  let returned = false;
  channel.on("return", () => { returned = true; });
  channel.publish("huzhu.providers", `${provider}.${word}`, Buffer.from(body), options);
  await channel.waitForConfirms();
  await connection.close();
  if (returned) throw new Error("No queue takes the message: has Huzhu's Groups service run yet?");
}

main(...process.argv.slice(2)).catch((error) => { console.error(error); process.exitCode = 1; });
