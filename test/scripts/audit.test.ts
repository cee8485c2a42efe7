import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const auditPath = '/-/npm/v1/security/advisories/bulk';

type Answer = (path: string, response: ServerResponse) => void;

/** Runs scripts/audit.sh against a registry of our own. */
async function audit(answer: Answer): Promise<{ code: number | null; output: string; asked: string[] }> {
  const asked: string[] = [];
  const registry = createServer((request, response) => {
    request.resume();
    asked.push(`${request.method} ${request.url}`);
    answer(request.url ?? '', response);
  });
  await new Promise<void>((resolve) => registry.listen(0, '127.0.0.1', resolve));
  const cache = mkdtempSync(join(tmpdir(), 'npm-'));
  onTestFinished(() => {
    registry.close();
    rmSync(cache, { recursive: true });
  });
  const { port } = registry.address() as AddressInfo;
  const npm = { npm_config_registry: `http://127.0.0.1:${port}/`, npm_config_cache: cache };
  const child = spawn(join(root, 'scripts/audit.sh'), {
    env: { PATH: process.env.PATH, HOME: cache, npm_config_fetch_retries: '0', ...npm },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, output: stdout + stderr, asked };
}

const advisory = (severity: string) => ({
  id: 1,
  url: 'https://example.com/advisory',
  title: 'A hole',
  severity,
  vulnerable_versions: '*',
  cwe: [],
  cvss: { score: 0, vectorString: null },
});

/** A registry that knows these advisories and has no keys for signatures. */
const knows =
  (advisories: object): Answer =>
  (path, response) => {
    if (path === auditPath) response.end(JSON.stringify(advisories));
    else response.writeHead(404).end('{}');
  };

describe('npm run audit', () => {
  test('ends well when the registry knows nothing bad, and says that it signs nothing', async () => {
    const { code, output, asked } = await audit(knows({}));
    expect(output).toContain('No package that ships has a known vulnerability rated high or critical.');
    expect(output).toContain('SIGNATURES NOT CHECKED');
    expect(code).toBe(0);
    expect(asked).toContain(`POST ${auditPath}`);
  });

  test('fails for a package that ships and is rated high, and names it', async () => {
    const { code, output } = await audit(knows({ undici: [advisory('high')] }));
    expect(code).toBe(1);
    expect(output).toMatch(/undici[\s\S]*A hole/);
    expect(output).toContain('Packages with a known vulnerability rated high or critical');
  });

  test('ends well for what is rated lower, or does not ship', async () => {
    expect(
      (await audit(knows({ undici: [advisory('moderate')], vitest: [advisory('critical')] }))).code,
    ).toBe(0);
  });

  test.each([405, 404, 503])(
    'says so when the registry answers %d to audits, and ends well',
    async (status) => {
      const { code, output } = await audit((_path, response) => response.writeHead(status).end());
      expect(output).toMatch(/^NOT AUDITED: what answers for http:\/\/127\.0\.0\.1:\d+\/ takes no audits/);
      expect(code).toBe(0);
    },
  );
});

describe('package-lock.json', () => {
  type Entry = {
    resolved?: string;
    integrity?: string;
    optional?: boolean;
    link?: boolean;
    version?: string;
  };
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, Entry>;
  };
  const entries = Object.entries(lock.packages).filter(([path]) => path !== '');

  test('takes every package from the registry of npm', () => {
    expect(entries.length).toBeGreaterThan(400);
    // without an address npm asks the registry
    const elsewhere = entries.filter(
      ([, { resolved, link }]) =>
        link || (resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/')),
    );
    expect(elsewhere).toEqual([]);
  });

  test('has a strong digest of every package that is not for some platforms only', () => {
    const unproven = entries.filter(
      ([, { integrity, optional }]) => !(integrity ?? (optional ? 'sha512-' : '')).startsWith('sha512-'),
    );
    expect(unproven).toEqual([]);
  });
});
