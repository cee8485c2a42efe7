import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { startService } from '../helpers/service.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const missing = ['bash', 'curl', 'openssl'].filter((name) => spawnSync('which', [name]).status !== 0);
const blocks = [
  ...readFileSync(`${root}docs/authentication.md`, 'utf8').matchAll(/```bash\n([\s\S]*?)```/g),
].map(([, text = '']) => text);

/** Where the commands of the page keep their secrets, and how they are run there. */
function openHome() {
  const home = mkdtempSync(join(tmpdir(), 'home-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  const run = async (text: string) => {
    const env = { HOME: home, PATH: process.env.PATH ?? '' };
    const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', text], {
      cwd: root,
      env,
    });
    return stdout;
  };
  return { run, read: (name: string) => readFileSync(join(home, name), 'utf8').trim() };
}

/** The start script stands for a service of this process, whose environment the page gives it. */
const asEnv = (text: string) => text.replace('./scripts/start.sh', 'env');

test.skipIf(missing.length > 0)('the commands of docs/authentication.md work as pasted', async () => {
  const { run, read } = openHome();
  const [startWithTokens = '', askWithToken = '', startWithSignatures = '', sign = ''] = blocks;
  expect(blocks).toHaveLength(4);

  const environment = Object.fromEntries(
    (await run(asEnv(startWithTokens))).split('\n').map((line) => line.split(/=(.*)/s)),
  );
  expect(environment).toMatchObject({ AUTH_MODE: 'jwt' });
  const tokens = await startService({
    AUTH_MODE: 'jwt',
    NODE_ENV: 'production',
    JWT_SECRET_FILE: environment.JWT_SECRET_FILE ?? '',
  });
  expect(JSON.parse(await run(askWithToken.replaceAll('http://localhost:8000', tokens.url)))).toMatchObject({
    finish_reason: 'stop',
  });

  const printed = await run(asEnv(startWithSignatures));
  const [, keys = ''] = /^HMAC_KEYS=(.*)$/m.exec(printed) ?? [];
  expect(JSON.parse(keys)).toEqual({ reports: { secret: read('.paf-hmac-secret'), tenant: 'acme' } });
  const signatures = await startService({ AUTH_MODE: 'hmac', NODE_ENV: 'production', HMAC_KEYS: keys });
  const answer = await run(sign.replaceAll('http://localhost:8000', signatures.url));
  expect(answer).toMatch(/event: done\ndata: \[DONE\]\n\n\{"sessions":\[\]/);
});
