// A3: @actions/core, the client that GitHub ships, gets a token from our GitHub endpoint.
import assert from 'node:assert/strict';
import { getIDToken } from '@actions/core';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const issuer = process.env.JETON_ISSUER;
const audience = 'https://registry.example.com/?a=b&c=d e';
const variables = await (await fetch(`${issuer}/_environment/github?format=json`)).json();
Object.assign(process.env, variables);

const token = await getIDToken(audience);
const { jwks_uri } = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(jwks_uri)), { issuer, audience });
assert.equal(payload.repository, 'octo-org/octo-repo');
