import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { LlmEvent } from '../../src/core/events.ts';
import { createOpenAiProvider } from '../../src/llm/openai.ts';

const model = {
  id: 'm',
  provider: 'openai',
  name: 'm',
  description: '',
  contextWindow: 8000,
  maxOutput: 1000,
  accepts: { images: false, tools: true, jsonSchema: false, temperature: true, reasoning: false },
};

/** A server that sends these chunks, and then comments for ever. */
async function startTalker(chunks: object[]): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const chunk of chunks) response.write(`data: ${JSON.stringify(chunk)}\n\n`);
    const timer = setInterval(() => response.write(': keep\n\n'), 200);
    response.once('close', () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

test('a finished answer does not wait for a server that only keeps the connection busy, and its parts fit its whole', async () => {
  const baseUrl = await startTalker([
    { choices: [{ index: 0, delta: { content: 'Hello.' } }] },
    { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] },
    {
      choices: [],
      usage: {
        prompt_tokens: 5,
        completion_tokens: 2,
        prompt_tokens_details: { cached_tokens: 4000 },
        completion_tokens_details: { reasoning_tokens: 9 },
      },
    },
  ]);
  const provider = createOpenAiProvider({ name: 'openai', baseUrl });
  const events: LlmEvent[] = [];
  const request = {
    model,
    messages: [{ role: 'user' as const, content: 'Hi.' }],
    tools: [],
    responseFormat: { type: 'text' as const },
    effort: 'standard' as const,
  };
  for await (const event of provider.stream(request, AbortSignal.timeout(10_000))) events.push(event);
  const usage = { inputTokens: 5, outputTokens: 2, cachedTokens: 5, reasoningTokens: 2, estimated: false };
  expect(events).toEqual([
    { type: 'text-delta', text: 'Hello.' },
    { type: 'end', finishReason: 'stop', usage },
  ]);
});
