// B11, B14, B15: our bundles are verified by @sigstore/verify, and those of @sigstore/sign by us; against the services
// of @sigstore/mock, with our issuer as identity provider.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createPublicKey, verify as verifySignature } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleFromJSON } from '@sigstore/bundle';
import { TrustedRoot } from '@sigstore/protobuf-specs';
import { DSSEBundleBuilder, FulcioSigner, MessageSignatureBundleBuilder, RekorWitness, TSAWitness } from '@sigstore/sign';
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify';
import { start } from './sigstore_services.js';

const issuer = process.env.JETON_ISSUER;
const subject = 'https://github.com/acme/app/.github/workflows/release.yml@refs/tags/v1';
const folder = mkdtempSync(join(tmpdir(), 'jeton-sigstore-'));
const file = (name) => join(folder, name);
const services = await start();
writeFileSync(file('root.json'), JSON.stringify(services.trustedRoot));
writeFileSync(file('config.json'), JSON.stringify(services.signingConfig));
writeFileSync(file('artifact'), 'hello\n');

const mint = async (claims) => {
  const body = JSON.stringify({ aud: 'sigstore', sub: subject, ...claims });
  const answer = await fetch(`${issuer}/token`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  return (await answer.text()).trim();
};
const jeton = (args, env = {}) => new Promise((done) => {
  const options = { cwd: folder, env: { HOME: folder, ...env } };
  execFile(process.env.JETON, args, options, (error, stdout, stderr) => done({ code: error?.code ?? 0, stdout, stderr }));
});
const stamp = `${services.url}/api/v1/timestamp`;
const instance = ['--fulcio-url', services.url, '--rekor-url', services.url, '--trusted-root', 'root.json'];
const verify = (bundle, ...more) => jeton(['verify-bundle', 'artifact', '--bundle', bundle, '--trusted-root', 'root.json',
  '--certificate-oidc-issuer', issuer, '--certificate-identity', subject, '--json', ...more]);
const theirs = new Verifier(toTrustMaterial(TrustedRoot.fromJSON(services.trustedRoot)), { tlogThreshold: 1, ctlogThreshold: 1 });
const policy = { subjectAlternativeName: `^${subject.replaceAll('.', '\\.')}$`, extensions: { issuer } };
const read = (name) => bundleFromJSON(JSON.parse(readFileSync(file(name), 'utf8')));

try {
  // Ours, verified by them and by us.
  writeFileSync(file('predicate.json'), '{"verdict":"good"}');
  const say = ['--type', 'https://example.com/review/v1', '--predicate', 'predicate.json'];
  const runs = [
    ['sign', ['artifact', '--bundle', 'plain.json']],
    ['sign', ['artifact', '--bundle', 'stamped.json', '--timestamp-server-url', stamp]],
    ['attest', ['artifact', '--bundle', 'said.json', ...say]],
    ['attest', ['artifact', '--bundle', 'said-stamped.json', '--timestamp-server-url', stamp, ...say]],
  ];
  for (const [command, args] of runs) {
    const token = await mint({});
    const bundle = args[2];
    const done = await jeton([command, ...args, ...instance], { SIGSTORE_ID_TOKEN: token });
    assert.equal(done.code, 0, done.stderr);
    assert.equal(done.stdout, '');
    assert.equal(statSync(file(bundle)).mode & 0o777, 0o600);
    const json = JSON.parse(readFileSync(file(bundle)));
    assert.equal(json.mediaType, 'application/vnd.dev.sigstore.bundle.v0.3+json');
    const data = command === 'sign' ? readFileSync(file('artifact')) : undefined;
    theirs.verify(toSignedEntity(read(bundle), data), policy);
    assert.throws(() => theirs.verify(toSignedEntity(read(bundle), data), { ...policy, subjectAlternativeName: 'other' }));
    const ours = await verify(bundle);
    assert.equal(ours.code, 0, ours.stderr);
    assert.equal(JSON.parse(ours.stdout).level, 'verified');
  }

  // The log of the second version, which a signing config prefers. @sigstore/verify reads only its blobs.
  for (const [command, args] of [['sign', ['artifact', '--bundle', 'v2.json']], ['attest', ['artifact', '--bundle', 'said-v2.json', ...say]]]) {
    const configured = ['--signing-config', 'config.json', '--trusted-root', 'root.json'];
    const done = await jeton([command, ...args, ...configured], { SIGSTORE_ID_TOKEN: await mint({}) });
    assert.equal(done.code, 0, done.stderr);
    const entry = JSON.parse(readFileSync(file(args[2]))).verificationMaterial.tlogEntries[0];
    assert.deepEqual(entry.kindVersion, { kind: 'hashedrekord', version: '0.0.2' });
    const ours = await verify(args[2]);
    assert.equal(ours.code, 0, ours.stderr);
    assert.equal(JSON.parse(ours.stdout).level, 'verified');
  }
  theirs.verify(toSignedEntity(read('v2.json'), readFileSync(file('artifact'))), policy);

  // The request: the token in header and body, the possession of the key proven over the subject.
  const asked = services.asked.filter((a) => a.path === '/api/v2/signingCert').at(-1);
  const body = JSON.parse(asked.body);
  assert.equal(asked.headers.authorization, `Bearer ${body.credentials.oidcIdentityToken}`);
  const { publicKey, proofOfPossession } = body.publicKeyRequest;
  const key = createPublicKey(publicKey.content);
  assert.ok(verifySignature('sha256', Buffer.from(subject), key, Buffer.from(proofOfPossession, 'base64')));

  // Theirs, verified by us.
  const signer = new FulcioSigner({ fulcioBaseURL: services.url, identityProvider: { getToken: () => mint({}) } });
  const rekor = new RekorWitness({ rekorBaseURL: services.url, entryType: 'dsse' });
  const tsa = new TSAWitness({ tsaBaseURL: services.url });
  const data = readFileSync(file('artifact'));
  const { createHash } = await import('node:crypto');
  const statement = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: [{ name: 'artifact', digest: { sha256: createHash('sha256').update(data).digest('hex') } }],
    predicateType: 'https://example.com/review/v1',
    predicate: {},
  };
  const { bundleToJSON } = await import('@sigstore/bundle');
  const builders = {
    'their-blob.json': [new MessageSignatureBundleBuilder({ signer, witnesses: [rekor] }), { data }],
    'their-stamped.json': [new MessageSignatureBundleBuilder({ signer, witnesses: [rekor, tsa] }), { data }],
    'their-statement.json': [new DSSEBundleBuilder({ signer, witnesses: [rekor], certificateChain: false }),
      { data: Buffer.from(JSON.stringify(statement)), type: 'application/vnd.in-toto+json' }],
  };
  for (const [name, [builder, artifact]] of Object.entries(builders)) {
    writeFileSync(file(name), JSON.stringify(bundleToJSON(await builder.create(artifact))));
    const ours = await verify(name);
    assert.equal(ours.code, 0, `${name}: ${ours.stderr}`);
    assert.equal(JSON.parse(ours.stdout).level, 'verified', name);
  }
} finally {
  services.close();
  rmSync(folder, { recursive: true });
}
process.exit(0);
