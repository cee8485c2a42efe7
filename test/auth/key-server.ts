import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import type { TestKey } from '../helpers/credentials.ts';

export type KeyServer = {
  url: string;
  /** how often it was asked */
  asked: number;
  serve(...keys: (TestKey | object)[]): void;
  answer(listener: RequestListener): void;
};

/** Serves a key set as identity providers do, and counts who asks. */
export async function startKeyServer(...keys: (TestKey | object)[]): Promise<KeyServer> {
  let listener: RequestListener = () => {};
  const server = createServer((request, response) => {
    keyServer.asked += 1;
    listener(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const keyServer: KeyServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/.well-known/jwks.json`,
    asked: 0,
    serve(...given) {
      const set = { keys: given.map((key) => ('jwk' in key ? key.jwk : key)) };
      listener = (_request, response) => void response.end(JSON.stringify(set));
    },
    answer(given) {
      listener = given;
    },
  };
  keyServer.serve(...keys);
  return keyServer;
}
