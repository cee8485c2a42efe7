import { monitorEventLoopDelay } from 'node:perf_hooks';
import { createFileReader } from '../src/files/ingest.ts';
import { fitFile } from '../src/files/select.ts';
import { warmTokenizer } from '../src/llm/tokens.ts';

/** Reads large files as a run does, and shows how long other streams would have to wait meanwhile. */

const megabyte = 1024 * 1024;
const rounds = 3;
const nanosecondsPerMs = 1e6;

const kinds: [name: string, megabytes: number, head: string, row: (number: number) => string][] = [
  [
    'table.csv',
    50,
    'id,name,city,amount,note\n',
    (number) =>
      `${number},Customer ${number},City ${number % 977},${number / 4},"note ""${number}"", of some length"\n`,
  ],
  [
    'data.json',
    50,
    '[{}',
    (number) => `,{"id":${number},"name":"Customer ${number}","tags":["a","b"],"city":{"zip":${number}}}\n`,
  ],
  [
    'server.log',
    50,
    '',
    (number) => `2024-05-01 12:00:00 INFO request ${number} was answered by Customer ${number} in time\n`,
  ],
];

function makeFile(size: number, head: string, row: (number: number) => string): Uint8Array {
  const bytes = Buffer.alloc(size);
  let length = bytes.write(head);
  for (let number = 1; length + 400 < size; number += 1) length += bytes.write(row(number), length);
  return new Uint8Array(bytes.buffer, 0, length);
}

async function measure(name: string, bytes: Uint8Array) {
  const reader = createFileReader({ maxFileBytes: 100 * megabyte });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const startedAt = performance.now();
  delay.enable();
  const { files } = await reader.ingest(
    {
      sources: [{ name, path: 'files[0].signed_url', content: bytes }],
      question: 'What about Customer 123456?',
      acceptsImages: false,
    },
    new AbortController().signal,
  );
  const isFound = files[0] !== undefined && fitFile(files[0], 8000).text.includes('Customer 123456');
  delay.disable();
  const seconds = (performance.now() - startedAt) / 1000;
  await reader.close();
  const [p99, max] = [delay.percentile(99), delay.max].map((value) => (value / nanosecondsPerMs).toFixed(1));
  return `${seconds.toFixed(1)} s, event loop delay p99 ${p99} ms, longest ${max} ms${isFound ? '' : ', NOT FOUND'}`;
}

await warmTokenizer();
for (const [name, megabytes, head, row] of kinds) {
  for (let round = 1; round <= rounds; round += 1) {
    const bytes = makeFile(megabytes * megabyte, head, row);
    console.log(`${name}, ${megabytes} MB: ${await measure(name, bytes)}`);
  }
}
