// C15: the MCP project's own client, unchanged, talks through `jeton proxy --stdio` to the project's own server, which
// lets nobody in without one of our tokens.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createRemoteJWKSet, jwtVerify } from 'jose';

const issuer = process.env.JETON_ISSUER;
const audience = 'https://mcp.example.com';
const { jwks_uri } = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json();
const keys = createRemoteJWKSet(new URL(jwks_uri));

const sessions = new Map();
let subjects = new Set();

const server = createServer(async (request, response) => {
  try {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    const { payload } = await jwtVerify(token, keys, { issuer, audience });
    subjects.add(payload.sub);
  } catch {
    response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end();
    return;
  }
  let transport = sessions.get(request.headers['mcp-session-id']);
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (id) => sessions.set(id, transport),
    });
    const mcp = new McpServer({ name: 'strangers', version: '1.0.0' });
    mcp.registerTool('double', { description: 'twice a fixed number' }, async () => ({
      content: [{ type: 'text', text: 'twenty-one twice is 42' }],
    }));
    await mcp.connect(transport);
  }
  await transport.handleRequest(request, response);
});
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));

const upstream = `http://127.0.0.1:${server.address().port}/mcp`;
const client = new Client({ name: 'a client that knows nothing of jeton', version: '1.0.0' });
const transport = new StdioClientTransport({
  command: process.env.JETON,
  args: ['proxy', '--stdio', '--upstream', upstream, '--source', `issuer:${issuer}`, '-a', audience],
  stderr: 'inherit',
});
await client.connect(transport);
const { tools } = await client.listTools();
assert.deepEqual(tools.map((tool) => tool.name), ['double']);
const answer = await client.callTool({ name: 'double', arguments: {} });
assert.equal(answer.content[0].text, 'twenty-one twice is 42');
await client.ping();
await client.close();
assert.equal(sessions.size, 1, 'one session carried all of it');
assert.equal(subjects.size, 1);
server.closeAllConnections();
server.close();
