// Says one thing to an Official Account's callback as WeChat's servers do, and prints what the person is shown.
// arguments: address token key appId openId messageId type fields…
import crypto from 'node:crypto';
import WXBizMsgCrypt from 'wechat-crypto';

const [address, token, key, appId, openId, messageId, type, fields] = process.argv.slice(2);
const cryptor = new WXBizMsgCrypt(token, key, appId);
const timestamp = Math.floor(Date.now() / 1000).toString();
const nonce = crypto.randomInt(1e9).toString();
const message = `<xml><ToUserName><![CDATA[gh_a96a4a619366]]></ToUserName><FromUserName><![CDATA[${openId}]]></FromUserName>`
  + `<CreateTime>${timestamp}</CreateTime><MsgType><![CDATA[${type}]]></MsgType>${fields}<MsgId>${messageId}</MsgId></xml>`;
const encrypted = cryptor.encrypt(message);
const query = new URLSearchParams({ timestamp, nonce, openid: openId, encrypt_type: 'aes', msg_signature: cryptor.getSignature(timestamp, nonce, encrypted) });
const response = await fetch(`${address}?${query}`, {
  method: 'POST',
  headers: { 'Content-Type': 'text/xml' },
  body: `<xml><ToUserName><![CDATA[gh_a96a4a619366]]></ToUserName><Encrypt><![CDATA[${encrypted}]]></Encrypt></xml>`,
});
const body = await response.text();
if (response.status !== 200) throw new Error(`${response.status}: ${body}`);
if (body !== 'success') {
  const field = name => new RegExp(`<${name}>(?:<!\\[CDATA\\[)?([^]*?)(?:\\]\\]>)?</${name}>`).exec(body)[1];
  if (cryptor.getSignature(field('TimeStamp'), field('Nonce'), field('Encrypt')) !== field('MsgSignature')) throw new Error('The reply is not signed by its account.');
  const reply = cryptor.decrypt(field('Encrypt'));
  if (reply.id !== appId) throw new Error('The reply is for another account.');
  console.log(/<Content><!\[CDATA\[([^]*)\]\]><\/Content>/.exec(reply.message)[1]);
}
