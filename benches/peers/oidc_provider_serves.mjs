// oidc-provider, as its manual sets it up for access tokens that are JWTs: what `cargo xtask bench` times beside our own
// token endpoint. It says its URL in a line.
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

const alg = 'ES256';
const audience = 'https://registry.example.com';
const { privateKey } = await generateKeyPair(alg, { extractable: true });
const key = { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: 'k' };
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
console.log(issuer);
