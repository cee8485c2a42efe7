import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startService, type TestService } from '../helpers/service.ts';

const script = fileURLToPath(new URL('../../scripts/sign-request.sh', import.meta.url));
const missing = ['bash', 'curl', 'openssl'].filter((name) => spawnSync('which', [name]).status !== 0);
const secret = 'k8Vq3Zt8Yw1Xr6Ks0Jd5Gh2Bn7Mf4Lc9';

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sign-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

const startSigned = (keySecret = secret) =>
  startService({ AUTH_MODE: 'hmac', HMAC_KEYS: JSON.stringify({ cli: { secret: keySecret } }) });

type Options = { env?: Record<string, string>; input?: string };

async function run(args: string[], { env = { HMAC_SECRET: secret }, input = '' }: Options = {}) {
  const child = spawn('bash', [script, ...args], {
    env: { PATH: process.env.PATH ?? '', HMAC_KEY_ID: 'cli', ...env },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  child.stdin.end(input);
  const code = await new Promise((resolve) => child.on('close', resolve));
  return { code, stdout, stderr };
}

const statusOf = async (service: TestService, args: string[], options?: Options) => {
  const [method = '', path = '', ...rest] = args;
  const { stdout } = await run(
    [method, service.url + path, ...rest, '-o', '/dev/null', '-w', '%{http_code}'],
    options,
  );
  return stdout;
};

describe.skipIf(missing.length > 0)(`sign-request.sh (needs ${missing.join(', ') || 'nothing more'})`, () => {
  test('asks in the way that the README shows, and streams', async () => {
    const service = await startSigned();
    const body = '{"message": "Say: \\"größer\\" % \\\\ $HOME"}';
    const answer = await run(['post', `${service.url}/api/chat`, body]);
    expect(answer).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(answer.stdout)).toMatchObject({ finish_reason: 'stop' });
    const stream = await run(['POST', `${service.url}/api/chat/stream`, '{"message": "Hi"}']);
    expect(stream.stdout).toMatch(/event: complete\n[\s\S]*event: done\ndata: \[DONE\]\n\n$/);
  });

  test('signs any method, address and kind of body', async () => {
    const service = await startSigned();
    const folder = temporaryFolder();
    const file = join(folder, 'body.json');
    writeFileSync(file, '{"message": "Hi"}\n');
    const chat = ['POST', '/api/chat'];
    expect(await statusOf(service, ['GET', '/api/chat/models'])).toBe('200');
    expect(await statusOf(service, ['GET', '/api/sessions?limit=1&x=[a]{b}#part'])).toBe('200');
    expect(await statusOf(service, ['HEAD', '/api/chat/models'])).toBe('200');
    expect(await statusOf(service, ['GET', '?q=1'])).toBe('404');
    expect(await statusOf(service, ['POST', '/api/sessions', ''])).toBe('201');
    expect(await statusOf(service, [...chat, `@${file}`])).toBe('200');
    expect(
      await statusOf(service, [...chat, '-'], { input: '{"message": "Hi"}', env: { HMAC_SECRET: secret } }),
    ).toBe('200');
    expect(await statusOf(service, [...chat, '{"message": "Hi"}', '-H', 'content-type: text/plain'])).toBe(
      '415',
    );
    expect(await statusOf(service, ['DELETE', '/api/sessions/none'])).toBe('404');
  });

  test.each([1, 63, 64, 65, 200])('takes a secret of %i characters', async (length) => {
    const long = 'aB3$%^&*()!~`\'"\\{}'.repeat(12).slice(0, length);
    const service = await startSigned(long);
    expect(await statusOf(service, ['GET', '/api/chat/models'], { env: { HMAC_SECRET: long } })).toBe('200');
    expect(await statusOf(service, ['GET', '/api/chat/models'], { env: { HMAC_SECRET: `${long}x` } })).toBe(
      '401',
    );
  });

  test('reads the secret from a file, and leaves nothing behind', async () => {
    const service = await startSigned();
    const folder = temporaryFolder();
    const file = join(folder, 'secret');
    writeFileSync(file, `${secret}\n`);
    const env = { HMAC_SECRET_FILE: file, TMPDIR: folder };
    expect(await statusOf(service, ['POST', '/api/chat', '{"message": "Hi"}'], { env })).toBe('200');
    expect(readdirSync(folder)).toEqual(['secret']);
    const home = { HMAC_SECRET_FILE: '~/secret', HOME: folder };
    expect(await statusOf(service, ['GET', '/api/chat/models'], { env: home })).toBe('200');
  });

  test('gives the secret to no other program', async () => {
    const service = await startSigned();
    const folder = temporaryFolder();
    const seen = join(folder, 'seen');
    for (const name of ['curl', 'openssl', 'od', 'tr', 'cat', 'mktemp', 'date', 'rm']) {
      const real = spawnSync('which', [name]).stdout.toString().trim();
      const text = `#!/bin/bash\nprintf '%s\\n' "$0 $*" >>'${seen}'; /usr/bin/env >>'${seen}'\nexec ${real} "$@"\n`;
      writeFileSync(join(folder, name), text, { mode: 0o755 });
    }
    const env = { HMAC_SECRET: secret, PATH: `${folder}:${process.env.PATH}` };
    expect(await statusOf(service, ['GET', '/api/chat/models'], { env })).toBe('200');
    const text = spawnSync('cat', [seen]).stdout.toString();
    expect(text).toMatch(/curl .*X-PAF-Key-Id: cli/);
    expect(text).not.toContain(secret);
    expect(text).not.toContain(Buffer.from(secret).toString('hex'));
  });

  test('says what is missing', async () => {
    const usage = expect.stringMatching(/^usage: /);
    expect(await run([])).toEqual({ code: 2, stdout: '', stderr: usage });
    expect(await run(['GET', 'localhost:8000/'])).toEqual({ code: 2, stdout: '', stderr: usage });
    expect(await run(['GET', 'http://127.0.0.1:1/'], { env: {} })).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^Set HMAC_SECRET to/),
    });
    const noName = { env: { HMAC_KEY_ID: '', HMAC_SECRET: secret } };
    expect(await run(['GET', 'http://127.0.0.1:1/'], noName)).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^Set HMAC_KEY_ID/),
    });
    expect((await run(['POST', 'http://127.0.0.1:1/', '@/none'])).code).toBe(1);
    expect((await run(['GET', 'http://127.0.0.1:1/'])).code).toBe(7);
  });
});
