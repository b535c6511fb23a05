// Calls a webhook as Twilio does, signed by Twilio's own library, and prints what it answers.
// arguments: address publicAddress authToken fields (JSON)
import twilio from 'twilio';

const [address, publicAddress, authToken, json] = process.argv.slice(2);
const fields = JSON.parse(json);
const response = await fetch(address, {
  method: 'POST',
  headers: { 'X-Twilio-Signature': twilio.getExpectedTwilioSignature(authToken, publicAddress, fields) },
  body: new URLSearchParams(fields),
});
console.log(`${response.status} ${await response.text()}`);
