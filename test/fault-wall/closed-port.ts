import { type AddressInfo, connect, createServer } from 'node:net';

export type ClosedPort = { port: number; release(): void };

/**
 * A port where nobody listens, nor will: a connection holds it by its own end, so that no server of another test is
 * given it. Without `port` any free one.
 */
export async function holdClosedPort(port?: number): Promise<ClosedPort> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const socket = connect({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    ...(port === undefined ? {} : { localAddress: '127.0.0.1', localPort: port }),
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return {
    port: socket.localPort ?? 0,
    release() {
      socket.destroy();
      server.close();
    },
  };
}
