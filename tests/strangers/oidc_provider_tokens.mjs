// D7: `jeton verify` believes the tokens of oidc-provider, a certified OpenID provider, and refuses what it must.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const audience = 'https://registry.example.com';
const home = await mkdtemp(join(tmpdir(), 'jeton-strangers-'));

const verify = (token, ...args) =>
  new Promise((resolve) => {
    const env = { HOME: home, PATH: process.env.PATH };
    const child = execFile(process.env.JETON, ['verify', ...args, '--json', '-'], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? error.code : 0, stdout, stderr }),
    );
    child.stdin.end(token);
  });

const serve = async (alg) => {
  const { privateKey } = await generateKeyPair(alg, { extractable: true });
  const key = { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: `key-of-${alg}` };
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: [key] },
    clients: [{
      client_id: 'a-client',
      client_secret: 'a-secret',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: alg,
    }],
    enabledJWA: { idTokenSigningAlgValues: [alg] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: 'read', accessTokenFormat: 'jwt', audience, jwt: { sign: { alg } } }),
      },
    },
  });
  server.on('request', provider.callback());
  return { issuer, server };
};

for (const alg of ['RS256', 'ES256', 'PS256', 'EdDSA']) {
  const { issuer, server } = await serve(alg);
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('a-client:a-secret').toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: 'read', resource: audience }),
  });
  const body = await answer.json();
  assert.ok(body.access_token, `${alg}: ${JSON.stringify(body)}`);

  const good = await verify(body.access_token, '--issuer', issuer, '--audience', audience);
  assert.equal(good.code, 0, `${alg}: ${good.stdout}${good.stderr}`);
  assert.equal(JSON.parse(good.stdout).valid, true);

  const other = await verify(body.access_token, '--issuer', issuer, '--audience', 'https://other.example.com');
  assert.equal(other.code, 4, `${alg}: ${other.stdout}${other.stderr}`);
  assert.equal(JSON.parse(other.stdout).rejection, 'audience-mismatch');
  server.close();
  server.closeAllConnections();
}
