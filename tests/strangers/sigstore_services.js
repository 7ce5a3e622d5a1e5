// The services of one private instance of Sigstore, from @sigstore/mock, on loopback: certificate authority,
// transparency log, timestamp authority. What the mock leaves to its test is done here: HTTP, the log's own form of a
// DSSE entry, timestamp requests in DER, a list of what was asked, and failures on demand.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import {
  fulcioHandler, initializeCA, initializeCTLog, initializeTLog, initializeTSA, rekorHandler,
} from '@sigstore/mock';
import * as asn1js from 'asn1js';
import canonicalize from 'canonicalize';
import * as pkijs from 'pkijs';

const SHA256 = '2.16.840.1.101.3.4.2.1';
const POLICY = '1.3.6.1.4.1.57264.2';

const base64 = (bytes) => Buffer.from(bytes).toString('base64');
const sha256 = (bytes) => createHash('sha256').update(bytes).digest();

export async function start() {
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const ctlog = await initializeCTLog(pair());
  const ca = await initializeCA(pair(), ctlog);
  // RFC 3161 times of whole seconds: what every verifier reads.
  const clock = new Date();
  const tsa = await initializeTSA(pair(), clock);
  // The mock writes large nonces in more bytes than DER has for them; they are put in as they came.
  const unsigned = tsa.tstInfo.bind(tsa);
  tsa.tstInfo = (request) => Object.assign(unsigned({ ...request, nonce: 1 }), { nonce: request.nonce });
  const asked = [];
  const faults = [];
  let tlog;

  const routes = {
    '/api/v2/signingCert': async (body) => fulcioHandler(ca, { strict: true }).fn(body),
    '/api/v1/log/entries': async (body) => rekorHandler(logged(tlog), { strict: true }).fn(body),
    '/api/v2/log/entries': async (body) => entryV2(tlog, JSON.parse(body)),
    '/api/v1/timestamp': async (body) => {
      clock.setTime(Math.floor(Date.now() / 1000) * 1000);
      const response = await tsa.timestamp(stampRequest(body));
      return { statusCode: 201, response, contentType: 'application/timestamp-reply' };
    },
  };
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    const path = new URL(request.url, 'http://x').pathname;
    asked.push({ path, at: Date.now(), headers: request.headers, body });
    const fault = faults.find((f) => f.path === path && f.times > 0);
    if (fault) {
      fault.times -= 1;
      if (fault.status === 0) return request.socket.destroy();
      response.writeHead(fault.status, { 'content-type': 'application/json' });
      return response.end(JSON.stringify({ code: 14, message: 'not now' }));
    }
    const route = request.method === 'POST' && routes[path];
    const answer = route ? await route(body) : { statusCode: 404, response: 'not found' };
    response.writeHead(answer.statusCode, { 'content-type': answer.contentType ?? 'text/plain' });
    response.end(answer.response);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${server.address().port}`;
  const tlogPair = pair();
  tlog = await initializeTLog(url, tlogPair);

  const key = (rawBytes) => ({
    rawBytes: base64(rawBytes), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor: { start: '2020-01-01T00:00:00Z' },
  });
  const log = (publicKey) => ({
    baseUrl: url, hashAlgorithm: 'SHA2_256', publicKey: key(publicKey), logId: { keyId: base64(sha256(publicKey)) },
  });
  const authority = (uri, ...certificates) => ({
    subject: { organization: 'sigstore.mock', commonName: 'sigstore' }, uri,
    certChain: { certificates: certificates.map((c) => ({ rawBytes: base64(c) })) },
    validFor: { start: '2020-01-01T00:00:00Z' },
  });
  const trustedRoot = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [log(tlog.publicKey)],
    certificateAuthorities: [authority(url, ca.rootCertificate)],
    ctlogs: [log(ctlog.publicKey)],
    timestampAuthorities: [authority(`${url}/api/v1/timestamp`, tsa.intCertificate, tsa.rootCertificate)],
  };
  const service = (address, majorApiVersion) => ({
    url: address, majorApiVersion, validFor: { start: '2020-01-01T00:00:00Z' }, operator: 'sigstore.mock',
  });
  const signingConfig = {
    mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
    caUrls: [service(url, 1)], rekorTlogUrls: [service(url, 1), service(url, 2)],
    tsaUrls: [service(`${url}/api/v1/timestamp`, 1)],
    rekorTlogConfig: { selector: 'ANY' }, tsaConfig: { selector: 'ANY' },
  };
  const fail = (path, status, times) => faults.push({ path, status, times });
  return { url, asked, fail, trustedRoot, signingConfig, close: () => server.close() };
}

// A real log keeps hashes of an envelope and its signatures, not the envelope.
function logged(tlog) {
  return {
    log: (entry) => {
      if (entry.kind !== 'dsse') return tlog.log(entry);
      const { envelope: text, verifiers } = entry.spec.proposedContent;
      const envelope = JSON.parse(text);
      const hash = (bytes) => ({ algorithm: 'sha256', value: sha256(bytes).toString('hex') });
      return tlog.log({
        apiVersion: '0.0.1',
        kind: 'dsse',
        spec: {
          envelopeHash: hash(text),
          payloadHash: hash(Buffer.from(envelope.payload, 'base64')),
          signatures: envelope.signatures.map((s, i) => ({ signature: s.sig, verifier: verifiers[i] })),
        },
      });
    },
  };
}

// The mock has no answer of Rekor v2 that verifies: its entry in the log's own form, and the mock's proof of it.
function entryV2(tlog, request) {
  const { digest, signature } = request.hashedRekordRequestV002;
  const data = { algorithm: 'SHA2_256', digest };
  const kindVersion = { kind: 'hashedrekord', version: '0.0.2' };
  const body = Buffer.from(canonicalize({
    apiVersion: '0.0.2', kind: 'hashedrekord', spec: { hashedRekordV002: { data, signature } },
  }));
  const logID = sha256(tlog.publicKey);
  const proof = tlog.calculateInclusionProof({ body, timestamp: Math.floor(Date.now() / 1000), logID });
  const response = JSON.stringify({
    logIndex: '0', logId: { keyId: base64(logID) }, kindVersion, canonicalizedBody: base64(body),
    inclusionProof: {
      logIndex: '0', treeSize: '1', rootHash: base64(Buffer.from(proof.rootHash, 'hex')), hashes: [],
      checkpoint: { envelope: proof.checkpoint },
    },
  });
  return { statusCode: 201, response, contentType: 'application/json' };
}

// Requests come in DER as RFC 3161 has it, or in the JSON that Sigstore's own server takes as well.
function stampRequest(body) {
  if (body[0] === 0x7b) {
    const json = JSON.parse(body);
    return {
      artifactHash: Buffer.from(json.artifactHash, 'base64'),
      hashAlgorithmOID: SHA256, nonce: new asn1js.Integer({ value: 1 }), policyOID: POLICY, certReq: json.certificates ?? false,
    };
  }
  const request = pkijs.TimeStampReq.fromBER(body);
  return {
    artifactHash: Buffer.from(request.messageImprint.hashedMessage.valueBlock.valueHexView),
    hashAlgorithmOID: request.messageImprint.hashAlgorithm.algorithmId,
    nonce: request.nonce,
    policyOID: POLICY,
    certReq: request.certReq ?? false,
  };
}

// Run by itself it says where it is, and what is to be trusted.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url, trustedRoot, signingConfig } = await start();
  console.log(JSON.stringify({ url, trustedRoot, signingConfig }));
}
