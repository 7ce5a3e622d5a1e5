// A2, D23: @actions/core, unchanged, gets its token late, from the GitHub facade of `jeton exec`.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { getIDToken } from '@actions/core';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const issuer = process.env.JETON_ISSUER;
const audience = 'https://registry.example.com/?a=b&c=d e';

if (process.argv[2] === 'child') {
  const token = await getIDToken(audience);
  const { jwks_uri } = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
  await jwtVerify(token, createRemoteJWKSet(new URL(jwks_uri)), { issuer, audience });
  // The request token of the platform itself must not be the one that reaches an unchanged program.
  assert.notEqual(process.env.ACTIONS_ID_TOKEN_REQUEST_TOKEN, 'the-platforms-own');
} else {
  const jeton = ['exec', '--source', `issuer:${issuer}`, '--facade', 'github', '--'];
  const child = [process.execPath, fileURLToPath(import.meta.url), 'child'];
  execFileSync(process.env.JETON, [...jeton, ...child], {
    env: { ...process.env, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'the-platforms-own' },
    stdio: 'inherit',
    timeout: 50_000,
  });
}
