// D7: jose verifies what our issuer signs, through the remote key set, before and after a rotation.
import assert from 'node:assert/strict';
import { createRemoteJWKSet, errors, jwtVerify } from 'jose';

const issuer = process.env.JETON_ISSUER;
const audience = 'https://registry.example.com';

const mint = async () => {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ aud: audience, sub: 'someone' }),
  });
  assert.equal(answer.status, 200);
  return (await answer.text()).trim();
};

const discovery = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
const keys = createRemoteJWKSet(new URL(discovery.jwks_uri), { cooldownDuration: 0 });

const before = await mint();
const verified = await jwtVerify(before, keys, { issuer, audience, requiredClaims: ['exp', 'iat', 'sub'] });
assert.equal(verified.payload.sub, 'someone');
assert.equal(verified.payload.exp - verified.payload.iat, 300);

const rotated = await fetch(`${issuer}/rotate`, { method: 'POST' });
assert.ok(rotated.ok, `rotate: ${rotated.status}`);
const after = await mint();
await jwtVerify(after, keys, { issuer, audience });
await jwtVerify(before, keys, { issuer, audience });

await assert.rejects(jwtVerify(after, keys, { issuer, audience: 'https://other.example.com' }), errors.JWTClaimValidationFailed);
const forged = after.slice(0, -8) + (after.endsWith('AAAAAAAA') ? 'BBBBBBBB' : 'AAAAAAAA');
await assert.rejects(jwtVerify(forged, keys, { issuer, audience }), errors.JWSSignatureVerificationFailed);
