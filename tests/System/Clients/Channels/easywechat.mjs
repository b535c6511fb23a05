// Sends a customer-service message as an integrator's own program would, and prints WeChat's answer.
// arguments: address appId secret openId text
import { OfficialAccount } from 'node-easywechat';

const [baseURL, app_id, secret, touser, content] = process.argv.slice(2);
const account = new OfficialAccount({ app_id, secret, token: 'unused', use_stable_access_token: true, http: { baseURL } });
// By default tokens are kept in the machine's temporary folder, past the end of the simulator that gave them.
const kept = new Map();
account.setCache({
  get: async (key, otherwise = null) => kept.get(key) ?? otherwise,
  set: async (key, value) => Boolean(kept.set(key, value)),
  has: async key => kept.has(key),
  delete: async key => kept.delete(key),
});
const response = await account.getClient().request('post', 'cgi-bin/message/custom/send', { json: { touser, msgtype: 'text', text: { content } } });
console.log(JSON.stringify(response.toObject()));
