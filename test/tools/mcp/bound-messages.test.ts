import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { boundMessages } from '../../../src/tools/mcp/bound-messages.ts';
import { textsOf, useMcp } from '../../helpers/mcp.ts';

const mebibyte = 'x'.repeat(1024 * 1024);

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
}

/** A server whose tool answers with a text of so many mebibytes. */
function startHuge(type: string, mebibytes: number): Promise<string> {
  return serve(async (request, response) => {
    if (request.method !== 'POST') return void response.writeHead(405).end();
    const { id, method, params } = (await json(request)) as { id?: number; method: string; params?: object };
    if (id === undefined) return void response.writeHead(202).end();
    const results: Record<string, object> = {
      initialize: { ...params, capabilities: { tools: {} }, serverInfo: { name: 'huge', version: '1' } },
      'tools/list': { tools: [{ name: 'read', inputSchema: { type: 'object' } }] },
    };
    const result = results[method] ?? {};
    if (method !== 'tools/call') {
      response.writeHead(200, { 'content-type': 'application/json' });
      return void response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
    }
    const isStream = type === 'text/event-stream';
    response.writeHead(200, { 'content-type': type });
    function* parts() {
      yield `${isStream ? 'data: ' : ''}{"jsonrpc":"2.0","id":${id},"result":{"content":[{"type":"text","text":"`;
      for (let sent = 0; sent < mebibytes; sent += 1) yield mebibyte;
      yield `"}]}}${isStream ? '\n\n' : ''}`;
    }
    // it may be broken off
    await pipeline(Readable.from(parts()), response).catch(() => {});
  });
}

describe.each([
  ['application/json', 'it sent a message of more than 10 MB'],
  ['text/event-stream', 'it ended the stream without an answer'],
])('a result as %s', (type, reason) => {
  const connect = async (mebibytes: number) => {
    const url = await startHuge(type, mebibytes);
    const mcp = useMcp([{ name: 'huge', transport: 'http', url, headers: {} }]);
    await mcp.until('huge', 'connected');
    return mcp;
  };

  test('of more than 10 MB fails the call, and not the connection', async () => {
    const mcp = await connect(50);
    expect(textsOf(await mcp.call('huge__read'))).toEqual([
      `The call to the MCP server "huge" failed: ${reason}.`,
    ]);
    expect(mcp.statusOf('huge').status).toBe('connected');
  });

  test('of less arrives', async () => {
    const mcp = await connect(9);
    const [text] = textsOf(await mcp.call('huge__read'));
    expect(text).toHaveLength(9 * mebibyte.length);
  });
});

test.each(['\n', '\r\n'])('a stream may have any number of messages', async (end) => {
  const url = await serve((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    // the blank line may come in a part of its own
    for (let count = 0; count < 12; count += 1) {
      response.write(`data: ${mebibyte}${end}`);
      response.write(end);
    }
    response.end();
  });
  const response = await boundMessages(fetch)(url);
  expect((await response.text()).length).toBeGreaterThan(12 * mebibyte.length);
  expect(response.url).toBe(url);
});
