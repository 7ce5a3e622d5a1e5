// B13: the browser flow in a headless Chromium, through the login and consent pages of oidc-provider, until our own page
// says the end. What it looks like is left beside this script, as login.png.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const home = await mkdtemp(join(tmpdir(), 'jeton-chromium-'));
const signing = await generateKeyPair('ES256', { extractable: true });
const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const provider = new Provider(issuer, {
  jwks: { keys: [{ ...(await exportJWK(signing.privateKey)), alg: 'ES256', use: 'sig', kid: 'one' }] },
  scopes: ['openid', 'offline_access'],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  clients: [
    {
      client_id: 'mycli',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['http://127.0.0.1/callback'],
    },
  ],
});
server.on('request', provider.callback());
await mkdir(join(home, '.config/jeton'), { recursive: true });
await writeFile(
  join(home, '.config/jeton/config.toml'),
  `[profiles.me]\ngrant = "browser"\nissuer = "${issuer}"\nclient_id = "mycli"\nscopes = ["openid", "offline_access"]\n`,
);

// Chromium's own protocol over a pipe: one JSON message, one NUL.
class Chromium {
  constructor() {
    const is_here = (name) => spawnSync(name, ['--version']).status === 0;
    const program = ['chromium', 'chromium-headless-shell', 'google-chrome'].find(is_here);
    const words = ['--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-pipe', `--user-data-dir=${home}/c`];
    this.child = spawn(program, words, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    [this.waiting, this.id, this.rest] = [new Map(), 0, ''];
    this.child.stdio[4].on('data', (bytes) => {
      const parts = (this.rest + bytes).split('\0');
      this.rest = parts.pop();
      for (const message of parts.map(JSON.parse)) this.waiting.get(message.id)?.(message);
    });
  }

  ask(method, params = {}, sessionId = this.sessionId) {
    const id = (this.id += 1);
    this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => {
      this.waiting.set(id, ({ result, error }) => (error ? reject(new Error(error.message)) : resolve(result)));
    });
  }

  async open(url) {
    const { targetId } = await this.ask('Target.createTarget', { url });
    ({ sessionId: this.sessionId } = await this.ask('Target.attachToTarget', { targetId, flatten: true }));
  }

  async run(expression) {
    const answer = await this.ask('Runtime.evaluate', { expression, returnByValue: true });
    return answer.result.value;
  }
}

// Does what a person would do on the page that is shown, and says what the page says.
const STEP = `(() => {
  const form = document.forms[0];
  if (!form || document.readyState !== 'complete' || form.dataset.sent) return document.body?.innerText ?? '';
  for (const input of form.querySelectorAll('input:not([type=hidden])')) input.value = 'ada';
  form.dataset.sent = 'yes';
  form.requestSubmit();
  return '';
})()`;

const env = { HOME: home, PATH: process.env.PATH, BROWSER: '/bin/true' };
const login = spawn(process.env.JETON, ['login', 'me', '--no-open'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
const ended = new Promise((resolve) => login.on('exit', resolve));
const chromium = new Chromium();
try {
  const said = [];
  const address = new Promise((resolve) => {
    createInterface({ input: login.stderr }).on('line', (line) => {
      said.push(line);
      const found = line.match(/http:\/\/\S+/)?.[0];
      if (found?.startsWith(`${issuer}/auth?`)) resolve(found);
    });
  });
  await chromium.open(await address);
  let text = '';
  for (let look = 0; look < 300 && !/You are logged in/.test(text); look += 1) {
    text = await chromium.run(STEP).catch(() => '');
    await pause(100);
  }
  assert.match(text, /You are logged in/);
  assert.equal(await ended, 0, said.join('\n'));
  assert.match(said.join('\n'), /logged in to \S+ as ada/);
  assert.match(await chromium.run('location.href'), /^http:\/\/127\.0\.0\.1:\d+\/callback/);
  assert.equal(await chromium.run('document.scripts.length'), 0, 'our page has no script');
  const { data } = await chromium.ask('Page.captureScreenshot', { format: 'png' });
  await writeFile('login.png', Buffer.from(data, 'base64'));
} finally {
  login.kill();
  chromium.child.kill();
  server.close();
  server.closeAllConnections();
}
await pause(300);
await rm(home, { recursive: true, force: true, maxRetries: 5 });
