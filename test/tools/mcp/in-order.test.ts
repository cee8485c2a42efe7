import type { JSONRPCMessage, Transport } from '@modelcontextprotocol/client';
import { expect, test } from 'vitest';
import { deliverInOrder } from '../../../src/tools/mcp/in-order.ts';

/** A transport whose messages the test makes up, and what was delivered of them. */
async function open() {
  const delivered: string[] = [];
  const transport: Transport = { start: async () => {}, send: async () => {}, close: async () => {} };
  transport.onmessage = (message) => void delivered.push('id' in message ? `reply ${message.id}` : 'notice');
  deliverInOrder(transport);
  await transport.start();
  const receive = (message: JSONRPCMessage) => transport.onmessage?.(message);
  return {
    delivered,
    transport,
    notice: () => receive({ jsonrpc: '2.0', method: 'notifications/progress' }),
    reply: (id: number) => receive({ jsonrpc: '2.0', id, result: {} }),
  };
}

const moment = () => new Promise((resolve) => setImmediate(resolve));

test('a reply waits until the notifications before it are handled, and keeps its place', async () => {
  const { delivered, notice, reply } = await open();
  reply(1);
  notice();
  reply(2);
  notice();
  reply(3);
  expect(delivered).toEqual(['reply 1', 'notice']);
  await moment();
  await moment();
  expect(delivered).toEqual(['reply 1', 'notice', 'reply 2', 'notice', 'reply 3']);
});

test('a flood of notifications does not pile up', async () => {
  const { delivered, notice } = await open();
  for (let count = 0; count < 10_000; count += 1) notice();
  expect(delivered).toHaveLength(10_000);
});

test('what came before the end of the connection is delivered', async () => {
  const { delivered, transport, notice, reply } = await open();
  notice();
  reply(1);
  transport.onclose?.();
  expect(delivered).toEqual(['notice', 'reply 1']);
});
