import { connect } from 'node:net';
import type { TestService } from './service.ts';

export type RawAnswer = { status: number; head: string; body: string };

/** Sends bytes as they are over a connection of their own; all answers until the service closes it. */
export function sendRaw(service: TestService, bytes: string | Buffer): Promise<RawAnswer[]> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => resolve(toAnswers(Buffer.concat(chunks).toString('latin1'))));
    socket.write(bytes);
  });
}

function toAnswers(text: string): RawAnswer[] {
  const answers: RawAnswer[] = [];
  for (let rest = text; rest !== ''; ) {
    const end = rest.indexOf('\r\n\r\n') + 4;
    const head = rest.slice(0, end);
    const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
    const size =
      length === undefined && !/^HTTP\/1\.1 (1|204)/.test(head) ? rest.length : Number(length ?? 0);
    answers.push({ status: Number(head.slice(9, 12)), head, body: rest.slice(end, end + size) });
    rest = rest.slice(end + size);
  }
  return answers;
}
