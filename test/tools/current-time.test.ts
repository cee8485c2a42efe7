import { describe, expect, it } from 'vitest';
import { createCurrentTimeTool } from '../../src/tools/builtin/current-time.ts';

const caller = { tenant: 'default', subject: 'anonymous', roles: [] };
const context = { runId: 'run', callId: 'call', caller, onProgress: () => {} };
const summer = () => new Date('2024-07-01T10:05:09Z');

function ask(args: Record<string, unknown>, now = summer, timezone = 'Europe/Berlin') {
  return createCurrentTimeTool({ timezone, now }).execute(args, context, AbortSignal.timeout(1000));
}

describe('current_time', () => {
  it('answers in the configured zone', async () => {
    expect(await ask({})).toEqual({
      content: [{ type: 'text', text: '2024-07-01T12:05:09+02:00 (Monday, Europe/Berlin)' }],
      isError: false,
    });
  });

  it.each([
    ['UTC', '2024-07-01T10:05:09+00:00 (Monday, UTC)'],
    ['America/New_York', '2024-07-01T06:05:09-04:00 (Monday, America/New_York)'],
    ['Asia/Kolkata', '2024-07-01T15:35:09+05:30 (Monday, Asia/Kolkata)'],
    ['Pacific/Auckland', '2024-07-01T22:05:09+12:00 (Monday, Pacific/Auckland)'],
    ['  ', '2024-07-01T12:05:09+02:00 (Monday, Europe/Berlin)'],
  ])('answers in the zone %j', async (timezone, text) => {
    expect((await ask({ timezone })).content).toEqual([{ type: 'text', text }]);
  });

  it('writes midnight as hour 00 of the new day, in winter time', async () => {
    const midnight = () => new Date('2023-12-31T23:00:00Z');
    expect((await ask({}, midnight)).content).toEqual([
      { type: 'text', text: '2024-01-01T00:00:00+01:00 (Monday, Europe/Berlin)' },
    ]);
  });

  it('says which names it knows when the zone is none', async () => {
    await expect(ask({ timezone: 'Mars/Olympus' })).rejects.toThrow(
      'Unknown time zone "Mars/Olympus". Use an IANA name such as "Europe/Berlin", "America/New_York" or "UTC".',
    );
  });

  it('refuses a wrong zone of the configuration at once', () => {
    expect(() => createCurrentTimeTool({ timezone: 'Berlin' })).toThrow('Unknown time zone "Berlin".');
  });

  it('reads the clock at every call', async () => {
    const tool = createCurrentTimeTool({ timezone: 'UTC' });
    const before = Math.floor(Date.now() / 1000) * 1000;
    const { content } = await tool.execute({}, context, AbortSignal.timeout(1000));
    const [block] = content;
    const text = block?.type === 'text' ? block.text : '';
    expect(Date.parse(text.split(' ')[0] ?? '')).toBeGreaterThanOrEqual(before);
    expect(Date.parse(text.split(' ')[0] ?? '')).toBeLessThanOrEqual(Date.now());
  });
});
