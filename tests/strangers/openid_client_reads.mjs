// C9: openid-client, a certified relying party, reads our discovery document and keys, and runs a grant.
import assert from 'node:assert/strict';
import * as client from 'openid-client';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const issuer = process.env.JETON_ISSUER;
const config = await client.discovery(new URL(issuer), 'a-client', 'a-secret', undefined, {
  execute: [client.allowInsecureRequests],
});
const metadata = config.serverMetadata();
assert.equal(metadata.issuer, issuer);
assert.ok(metadata.jwks_uri && metadata.token_endpoint);

// It refuses a document whose issuer is another one, as we must; that the paths match is our side of it.
await assert.rejects(
  client.discovery(new URL(`${issuer}/elsewhere`), 'a-client', 'a-secret', undefined, {
    execute: [client.allowInsecureRequests],
  }),
);

const answer = await client.clientCredentialsGrant(config, { scope: 'read', resource: 'https://registry.example.com' });
assert.ok(answer.access_token);
assert.ok(answer.expiresIn() > 0);
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));
if (answer.access_token.split('.').length === 3) {
  await jwtVerify(answer.access_token, keys, { issuer });
}
