// A gateway for messages and calls that checks every signature with Twilio's own library, and prints what it was told, a line each.
// arguments: port authToken
import http from 'node:http';
import twilio from 'twilio';

const [port, authToken] = process.argv.slice(2);
http.createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request) body += chunk;
  const fields = Object.fromEntries(new URLSearchParams(body));
  const isSigned = twilio.validateRequest(authToken, request.headers['x-twilio-signature'] ?? '', `http://127.0.0.1:${port}${request.url}`, fields);
  console.log(JSON.stringify({ isSigned, path: request.url, ...fields }));
  response.writeHead(isSigned ? 201 : 403, { 'Content-Type': 'application/json' }).end('{"sid":"SM1"}');
}).listen(Number(port), '127.0.0.1', () => console.log('listening'));
