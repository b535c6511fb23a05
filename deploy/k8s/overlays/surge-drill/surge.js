// A minute of ordinary load, a minute of ten times as much, and five minutes to see the queues empty again. Requests leave
// at their planned time, whether the one before has been answered or not.
import http from 'k6/http';
import { check } from 'k6';

const request = JSON.parse(open('./request.json'));
const group = JSON.parse(open('./group.json'));
const headers = { Authorization: `Bearer ${__ENV.TOKEN}`, 'Content-Type': 'application/json' };

export const options = {
  scenarios: {
    surge: {
      executor: 'ramping-arrival-rate',
      startRate: 20, timeUnit: '1s', preAllocatedVUs: 200, maxVUs: 2000,
      stages: [
        { target: 20, duration: '1m' },
        { target: 200, duration: '5s' },
        { target: 200, duration: '1m' },
        { target: 20, duration: '5s' },
        { target: 20, duration: '5m' },
      ],
    },
  },
  thresholds: {
    checks: ['rate==1'],
    http_req_duration: ['p(99)<200'],
    dropped_iterations: ['count==0'],
  },
};

const spread = (degrees) => (Math.random() - 0.5) * degrees;

// Groups of people who exist only in the drill, and whose messages go to a file.
export function setup() {
  for (let number = 1; number <= 300; number++) {
    const site = { ...group.sites[0], lat: group.sites[0].lat + spread(0.05), lon: group.sites[0].lon + spread(0.05) };
    const answer = http.post(`${__ENV.GROUPS}/v1/groups`, JSON.stringify({ ...group, name: `Drill ${number}`, sites: [site] }), { headers });
    check(answer, { 'the group is registered': (a) => a.status === 201 });
  }
  return { run: Date.now() };
}

export default function (data) {
  const id = `${data.run}-${__VU}-${__ITER}`;
  const location = { ...request.location, lat: request.location.lat + spread(0.05), lon: request.location.lon + spread(0.05) };
  const body = { ...request, externalId: id, caller: { ...request.caller, ref: id }, location, receivedAt: new Date().toISOString() };
  const answer = http.post(`${__ENV.REQUESTS}/v1/requests`, JSON.stringify(body), { headers: { ...headers, 'Idempotency-Key': `"${id}"` } });
  // Shed is an answer too: the caller knows when to come again, and nothing was kept. It comes back here as another call.
  check(answer, { 'the request is taken in, or shed': (a) => a.status === 202 || (a.status === 503 && a.json('code') === 'shedding') });
}
