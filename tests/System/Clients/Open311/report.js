// node-open311 (Code for America) against a jurisdiction: finds the endpoint, asks what can be reported, reports, reads the
// report back, and is turned away with a key that nobody gave.
const assert = require('node:assert');
const { promisify } = require('node:util');
const Open311 = require('open311');

const [root, jurisdiction, apiKey] = process.argv.slice(2);

function connect(settings) {
  const city = new Open311({ jurisdiction, ...settings });
  for (const name of ['serviceDiscovery', 'serviceList', 'serviceDefinition', 'submitRequest', 'serviceRequests'])
    city[name] = promisify(city[name].bind(city));
  return city;
}

(async () => {
  const city = connect({ discovery: `${root}/open311/v2/discovery.json?jurisdiction_id=${jurisdiction}`, apiKey });
  await city.serviceDiscovery({ cache: true });
  assert.strictEqual(city.endpoint, `${root}/open311/v2/`);

  const meals = (await city.serviceList()).find(service => service.service_code === 'meals');
  assert.strictEqual(meals.type, 'realtime');
  const { attributes } = await city.serviceDefinition('meals');
  assert.ok(attributes.find(attribute => attribute.code === 'communication').values.some(value => value.key === 'text-only'));

  const report = {
    service_code: 'meals', lat: 31.2215, long: 121.442, email: 'lin@w.example', first_name: 'Lin', description: 'no salt',
    attributes: { communication: 'text-only', external_id: 'node-1' },
  };
  const [{ service_request_id: id }] = await city.submitRequest(report);
  const [again] = await city.submitRequest(report);
  assert.strictEqual(again.service_request_id, id);

  const [shown] = await city.serviceRequests(id, { api_key: apiKey });
  assert.deepStrictEqual([shown.status, shown.service_code], ['open', 'meals']);
  const found = await city.serviceRequests([id], { api_key: apiKey });
  assert.deepStrictEqual(found.map(request => request.service_request_id), [id]);

  await assert.rejects(connect({ endpoint: city.endpoint, apiKey: 'nobody-gave-this-key' }).submitRequest(report));
  await assert.rejects(city.submitRequest({ service_code: 'haircuts', lat: 1, long: 1 }));
  console.log(id);
})().catch(error => {
  console.error(error);
  process.exit(1);
});
