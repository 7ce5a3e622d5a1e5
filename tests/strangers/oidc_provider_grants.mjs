// C1, C10, C16, C19, B12, B13: every grant against oidc-provider, a certified OpenID provider. What it gave is
// introspected at the provider itself; what was given back is dead there.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const home = await mkdtemp(join(tmpdir(), 'jeton-strangers-'));
// Characters that have to be encoded inside of Basic (RFC 6749 section 2.3.1).
const secret = 's3cr3t:+%/~&=';
const env = { HOME: home, PATH: process.env.PATH, MACHINE_SECRET: secret, BROWSER: '/bin/true' };

const jeton = (...args) =>
  new Promise((resolve) => {
    execFile(process.env.JETON, args, { env }, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }));
  });
const token = async (...args) => {
  const run = await jeton('token', ...args, '-o', 'json');
  assert.equal(run.code, 0, run.stderr);
  return JSON.parse(run.stdout);
};

const signing = await generateKeyPair('ES256', { extractable: true });
const client = await generateKeyPair('ES256', { extractable: true });
const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const machine = { grant_types: ['client_credentials'], redirect_uris: [], response_types: [] };
const provider = new Provider(issuer, {
  jwks: { keys: [{ ...(await exportJWK(signing.privateKey)), alg: 'ES256', use: 'sig', kid: 'one' }] },
  scopes: ['openid', 'offline_access', 'read'],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  clients: [
    {
      client_id: 'mycli',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      redirect_uris: ['http://127.0.0.1/callback'],
    },
    { ...machine, client_id: 'by basic', client_secret: secret },
    { ...machine, client_id: 'by-post', client_secret: secret, token_endpoint_auth_method: 'client_secret_post' },
    {
      ...machine,
      client_id: 'by-key',
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: 'ES256',
      jwks: { keys: [{ ...(await exportJWK(client.publicKey)), kid: 'mine', use: 'sig', alg: 'ES256' }] },
    },
  ],
  // A rotated refresh token is used once; another use ends the grant.
  rotateRefreshToken: true,
  features: {
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
});
const grants = [];
provider.on('grant.success', (ctx) => grants.push(ctx.oidc.params.grant_type.split(':').pop()));
provider.on('grant.error', (ctx, error) => grants.push(error.message));
server.on('request', provider.callback());

const key = join(home, 'key.pem');
await writeFile(key, await exportPKCS8(client.privateKey), { mode: 0o600 });
await mkdir(join(home, '.config/jeton'), { recursive: true });
const client_of = (name, id, more) => `
[profiles.${name}]
grant = "client-credentials"
issuer = "${issuer}"
client_id = "${id}"
scopes = ["read"]
${more}
`;
const login_by = (name, grant) => `
[profiles.${name}]
grant = "${grant}"
issuer = "${issuer}"
client_id = "mycli"
scopes = ["openid", "offline_access", "read"]
`;
await writeFile(
  join(home, '.config/jeton/config.toml'),
  client_of('basic', 'by basic', 'client_secret = "env:MACHINE_SECRET"') +
    client_of('post', 'by-post', 'client_secret = "env:MACHINE_SECRET"\nclient_auth = "post"') +
    client_of('key', 'by-key', `client_auth = "private-key-jwt"\nclient_key = "file:${key}"\nclient_key_id = "mine"`) +
    login_by('device', 'device') +
    login_by('browser', 'browser'),
);

const introspect = async (value) => {
  const answer = await fetch(`${issuer}/token/introspection`, {
    method: 'POST',
    body: new URLSearchParams({ token: value, client_id: 'by-post', client_secret: secret }),
  });
  return answer.json();
};

// A browser that fills in every form it meets, until there is none.
const visit = async (url) => {
  const cookies = new Map();
  let page = { method: 'GET' };
  for (let steps = 0; steps < 30; steps += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(url, { ...page, redirect: 'manual', headers: { cookie } });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = line.match(/^([^=]+)=([^;]*)/);
      cookies.set(name, value);
    }
    const next = answer.headers.get('location');
    if (next) {
      [url, page] = [new URL(next, url).href, { method: 'GET' }];
      continue;
    }
    const html = await answer.text();
    const form = html.match(/<form[^>]*action="([^"]*)"[^>]*>([\s\S]*?)<\/form>/);
    if (!form) return { url, html };
    const fields = new URLSearchParams();
    for (const [input] of form[2].matchAll(/<input[^>]*>/g)) {
      const of = (name) => input.match(new RegExp(`${name}="([^"]*)"`))?.[1];
      fields.set(of('name'), of('value') ?? { login: 'ada', password: 'x' }[of('name')]);
    }
    [url, page] = [new URL(form[1], url).href, { method: 'POST', body: fields }];
  }
  throw new Error(`no end of forms at ${url}`);
};

// Logs in: confirms the code, or follows the address that is printed.
const log_in = async (...args) => {
  const child = spawn(process.env.JETON, ['login', ...args, '--no-open'], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const said = [];
  let visited;
  for await (const line of createInterface({ input: child.stderr })) {
    said.push(line);
    const address = line.match(/http:\/\/\S+/);
    const code = line.trim().match(/^[A-Z]{4}-[A-Z]{4}$/);
    if (code) visited = visit(`${issuer}/device?user_code=${code[0]}`);
    else if (address?.[0].startsWith(`${issuer}/auth?`)) visited = visit(address[0]);
  }
  const page = await visited;
  assert.equal(await ended, 0, said.join('\n'));
  assert.match(said.join('\n'), /logged in to \S+ as ada/);
  return page;
};

const session = async () => {
  const folder = join(home, '.local/state/jeton');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.session'));
  const all = await Promise.all(names.map(async (name) => JSON.parse(await readFile(join(folder, name), 'utf8'))));
  return (profile) => all.find((one) => one.profile === profile)?.refresh_token;
};

for (const [profile, id] of [['basic', 'by basic'], ['post', 'by-post'], ['key', 'by-key']]) {
  const first = await token(profile);
  const known = await introspect(first.token);
  assert.deepEqual([known.active, known.client_id, known.scope], [true, id, 'read'], profile);
  assert.equal(first.token_type, 'Bearer');
  assert.ok(first.expires_in > 0);
  assert.equal((await token(profile)).token, first.token, `${profile} is cached`);
}
assert.deepEqual(grants.splice(0), ['client_credentials', 'client_credentials', 'client_credentials']);

for (const [profile, grant] of [['device', 'device_code'], ['browser', 'authorization_code']]) {
  const page = await log_in(profile);
  if (profile === 'browser') {
    assert.match(page.url, /^http:\/\/127\.0\.0\.1:\d+\/callback\?/);
    assert.match(page.html, /You are logged in/);
  }
  const first = await token(profile);
  assert.equal(first.subject, null, 'its access tokens are opaque');
  assert.equal((await introspect(first.token)).sub, 'ada');
  assert.deepEqual(grants.splice(0), [grant], 'the login is all that was asked');
  const before = (await session())(profile);
  for (let round = 0; round < 3; round += 1) {
    const next = await token(profile, '--refresh');
    assert.equal((await introspect(next.token)).active, true);
    assert.notEqual(next.token, first.token);
  }
  assert.deepEqual(grants.splice(0), ['refresh_token', 'refresh_token', 'refresh_token']);
  const after = (await session())(profile);
  assert.ok(before && after && before !== after, 'rotated and kept');
  assert.equal((await introspect(after)).active, true);

  const out = await jeton('logout', profile);
  assert.equal(out.code, 0, out.stderr);
  assert.equal((await introspect(after)).active, false, 'revoked at the provider');
  assert.equal((await session())(profile), undefined);
  assert.equal((await jeton('token', profile)).code, 4);
}

server.close();
server.closeAllConnections();
