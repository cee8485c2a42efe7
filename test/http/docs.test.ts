import { describe, expect, test } from 'vitest';
import { send } from '../helpers/contract.ts';
import { startService } from '../helpers/service.ts';

/** The tags of a page with one attribute that has an address. */
function addressesIn(html: string): string[] {
  return [...html.matchAll(/<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)="([^"]*)"/g)].flatMap(
    ([, address]) => address ?? [],
  );
}

function directivesOf(policy: string | null): Record<string, string[]> {
  const parts = (policy ?? '').match(/[^;\s][^;]*/g)?.map((part) => part.trim().split(/\s+/)) ?? [];
  return Object.fromEntries(parts.map(([name = '', ...values]) => [name, values]));
}

describe.each(['/docs', '/docs/'])('the page at %s', (path) => {
  test('takes every file it needs from this service', async () => {
    const service = await startService();
    const page = await send(service, path);
    expect({ status: page.status, type: page.type }).toEqual({ status: 200, type: 'text/html' });
    const addresses = addressesIn(page.text);
    expect(addresses.filter((address) => address.endsWith('.js')).length).toBeGreaterThanOrEqual(3);
    expect(addresses.filter((address) => address.endsWith('.css')).length).toBeGreaterThanOrEqual(1);
    for (const address of addresses) {
      const url = new URL(address, `${service.url}${path}`);
      expect(url.origin).toBe(service.url);
      const file = await send(service, url.pathname);
      expect(file.status, address).toBe(200);
      expect(file.text.length, address).toBeGreaterThan(100);
      const type = { js: 'application/javascript', css: 'text/css', png: 'image/png' };
      expect(file.type).toBe(type[url.pathname.split('.').at(-1) as keyof typeof type]);
    }
  });

  test('may run all its parts over plain http, and nothing else', async () => {
    const service = await startService();
    const { headers, text } = await send(service, path);
    const policy = directivesOf(headers.get('content-security-policy'));
    // an upgrade to https would ask for files that nobody serves
    expect(policy).toEqual({
      'default-src': ["'self'"],
      'base-uri': ["'self'"],
      'frame-ancestors': ["'self'"],
      'img-src': ["'self'", 'data:'],
      'object-src': ["'none'"],
      'script-src': ["'self'"],
      'script-src-attr': ["'none'"],
      'style-src': ["'self'"],
    });
    expect(text).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=/);
  });
});

test('no style or script of the page loads something from elsewhere', async () => {
  const service = await startService();
  const style = await send(service, '/docs/static/swagger-ui.css');
  expect(style.text).not.toMatch(/@import|url\(\s*["']?(?:https?:)?\/\//);
  const start = await send(service, '/docs/static/swagger-initializer.js');
  expect(start.text).not.toMatch(/https?:\/\/(?!stackoverflow\.com|www\.w3\.org)/);
  expect(start.text).toContain('validatorUrl: null');
});

test('the page shows the description that /openapi.json gives', async () => {
  const service = await startService();
  const start = await send(service, '/docs/static/swagger-initializer.js');
  expect(start.text).toContain("resolveUrl('./json')");
  const shown = await send(service, '/docs/json');
  const given = await send(service, '/openapi.json');
  expect(given.type).toBe('application/json');
  expect(JSON.parse(shown.text)).toEqual(JSON.parse(given.text));
});

test('DOCS_ENABLED=false takes the page and the description away', async () => {
  const service = await startService({ DOCS_ENABLED: 'false' });
  for (const path of ['/docs', '/docs/', '/docs/json', '/docs/static/swagger-ui.css', '/openapi.json']) {
    expect((await send(service, path)).status, path).toBe(404);
  }
  const status = JSON.parse((await send(service, '/api/chat/status')).text);
  expect(status.features.docs).toBe(false);
});
