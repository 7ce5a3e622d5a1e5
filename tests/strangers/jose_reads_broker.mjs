// D7: jose verifies what the broker signs, through the remote key set, before and after its key was rotated.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

const { JETON: jeton, JETON_ISSUER: issuer } = process.env;
const audience = 'https://registry.example.com';

const port = await new Promise((found) => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const { port } = probe.address();
    probe.close(() => found(port));
  });
});
const root = `http://127.0.0.1:${port}`;
const folder = mkdtempSync(join(tmpdir(), 'broker-'));
execFileSync(jeton, ['broker', 'init', '--dir', folder]);
const config = join(folder, 'broker.toml');
writeFileSync(
  config,
  `listen = "127.0.0.1:${port}"
public_url = "${root}"
[[issuers]]
issuer = "${issuer}"
audiences = ["${root}"]
[[admins]]
issuer = "${issuer}"
subject = "admin"
`,
);
const broker = spawn(jeton, ['broker', 'serve', '--config', config], { stdio: ['ignore', 'inherit', 'inherit'] });
process.on('exit', () => {
  broker.kill();
  rmSync(folder, { recursive: true, force: true });
});

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
for (let round = 0; round < 500; round += 1) {
  const ready = await fetch(`${root}/readyz`).catch(() => undefined);
  if (ready?.ok) break;
  await pause(20);
}

const identity = async (sub) => {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sub, aud: root }),
  });
  return (await answer.text()).trim();
};
const put = await fetch(`${root}/v1/trust_policies/build`, {
  method: 'PUT',
  headers: { authorization: `Bearer ${await identity('admin')}`, 'content-type': 'application/json' },
  body: JSON.stringify({ issuer, subject: 'builder', audience: [audience] }),
});
assert.ok(put.ok, `policy: ${put.status} ${await put.text()}`);
const assertion = async () => {
  const answer = await fetch(`${root}/v1/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: await identity('builder'),
      audience,
    }),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()).access_token;
};

const discovery = await (await fetch(`${root}/.well-known/openid-configuration`)).json();
const keys = createRemoteJWKSet(new URL(discovery.jwks_uri), { cooldownDuration: 0 });
const expected = { issuer: root, audience, requiredClaims: ['exp', 'iat', 'sub', 'jti'] };
const before = await assertion();
const { payload, protectedHeader } = await jwtVerify(before, keys, expected);
assert.equal(payload.sub, 'builder');

execFileSync(jeton, ['broker', 'signing-key', 'rotate', '--config', config]);
broker.kill('SIGHUP');
let after = before;
for (let round = 0; round < 100; round += 1) {
  after = await assertion();
  const { protectedHeader: now } = await jwtVerify(after, keys, expected);
  if (now.kid !== protectedHeader.kid) break;
  await pause(50);
}
assert.notEqual((await jwtVerify(after, keys, expected)).protectedHeader.kid, protectedHeader.kid);
await jwtVerify(before, keys, expected);
const forged = after.slice(0, -8) + (after.endsWith('AAAAAAAA') ? 'BBBBBBBB' : 'AAAAAAAA');
await assert.rejects(jwtVerify(forged, keys, expected), errors.JWSSignatureVerificationFailed);
process.exit(0);
