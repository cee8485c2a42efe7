import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The yardstick: a proxy that only passes bytes on. Its argument is the origin to forward to. */
const upstream = new URL(process.argv[2] ?? '');
const agent = new Agent({ keepAlive: true });

const server = createServer({ keepAliveTimeout: 75_000 }, (incoming, outgoing) => {
  const { method, url, headers } = incoming;
  const forwarded = request(new URL(url ?? '/', upstream), { method, headers, agent }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
    answer.once('error', () => outgoing.destroy());
  });
  forwarded.once('error', () => outgoing.destroy());
  outgoing.once('close', () => forwarded.destroy());
  incoming.pipe(forwarded);
});

server.listen(0, '127.0.0.1', () => {
  console.log(`pipe on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(0));
