import { describe, expect, test, vi } from 'vitest';
import { runBounded } from '../../../src/pipeline/run-bounded.ts';
import type { ToolProgress } from '../../../src/tools/tool.ts';
import { isAlive, oddServer, patient, stdioServer, textsOf, useMcp } from '../../helpers/mcp.ts';

const gone = (pid: number) => vi.waitFor(() => expect(isAlive(pid)).toBe(false), patient);

describe('a server that behaves', () => {
  test('is connected, and its tools, resources and prompts are listed', async () => {
    const odd = oddServer('plain');
    const mcp = useMcp([odd.config]);
    expect(mcp.status()).toMatchObject([{ name: 'odd', status: 'connecting', tools: [] }]);
    expect(await mcp.until('odd', 'connected')).toEqual({
      name: 'odd',
      transport: 'stdio',
      status: 'connected',
      error: undefined,
      tools: [
        'change',
        'crash',
        'echo',
        'env',
        'fail',
        'garbage',
        'hang',
        'rich',
        'shrink',
        'steps',
        'structured',
      ].map((name) => `odd__${name}`),
      dropped: [],
      resources: ['file:///a.txt', 'file:///b.txt'],
      // listing them fails, which costs nothing else
      prompts: [],
    });
    expect(mcp.tool('odd__echo')).toMatchObject({
      description: 'Does echo.',
      parameters: { type: 'object', properties: { text: { type: 'string' } } },
      isParallel: true,
    });
    expect(mcp.tool('odd__hang').isParallel).toBe(false);
    expect(mcp.logs).toEqual([
      {
        level: 'info',
        message: 'MCP server connected',
        mcp_server: 'odd',
        transport: 'stdio',
        tools: 11,
        dropped: 0,
      },
    ]);
  });

  test('answers calls', async () => {
    const mcp = useMcp([oddServer('plain').config]);
    await mcp.until('odd', 'connected');
    expect(await mcp.call('odd__echo', { text: 'hi' })).toEqual({
      content: [{ type: 'text', text: 'Echo: hi' }],
      isError: false,
    });
    expect(await mcp.call('odd__fail')).toEqual({
      content: [{ type: 'text', text: 'It went wrong.' }],
      isError: true,
    });
    expect(await mcp.call('odd__structured')).toEqual({
      content: [{ type: 'text', text: '{"answer":42}' }],
      isError: false,
      details: { answer: 42 },
    });
    expect(await mcp.call('odd__garbage')).toEqual({
      content: [{ type: 'text', text: 'The tool gave no output.' }],
      isError: false,
    });
  });

  test('may answer with every kind of content', async () => {
    const mcp = useMcp([oddServer('plain').config]);
    await mcp.until('odd', 'connected');
    const result = await mcp.call('odd__rich');
    expect(textsOf(result)).toEqual([
      'one',
      'image/png',
      '[an image (image/tiff) of about 3 bytes was left out]',
      '[audio (audio/wav) of about 6 bytes was left out]',
      'Resource file:///a.txt:\ninside',
      'image/png',
      '[the resource file:///c.zip (application/zip) of about 3 bytes was left out]',
      'Resource link d <file:///d.txt>: a file',
      '[content of the kind hologram was left out]',
      '[content of an unknown kind was left out]',
    ]);
    expect(result).toMatchObject({ isError: false, details: { answer: 42 } });
  });

  test('tells of its progress', async () => {
    const mcp = useMcp([oddServer('plain').config]);
    await mcp.until('odd', 'connected');
    const seen: ToolProgress[] = [];
    const result = await mcp.call('odd__steps', {}, { onProgress: (progress) => seen.push(progress) });
    expect(textsOf(result)).toEqual(['three steps']);
    expect(seen).toEqual([1, 2, 3].map((progress) => ({ progress, total: 3, message: '' })));
  });

  test('is told within 250 ms that a call was cancelled, and works on', async () => {
    const odd = oddServer('plain');
    const mcp = useMcp([odd.config]);
    await mcp.until('odd', 'connected');
    const run = new AbortController();
    const started = Promise.withResolvers<void>();
    const call = mcp.call('odd__hang', {}, { signal: run.signal, onProgress: () => started.resolve() });
    await started.promise;
    const abortedMs = performance.now();
    run.abort(new Error('a reason with a secret'));
    await expect(call).rejects.toThrow('a reason with a secret');
    const cancelled = await vi.waitFor(() => {
      const line = odd.notes().find((each) => each.includes('notifications/cancelled'));
      if (line === undefined) throw new Error('not yet');
      return JSON.parse(line);
    }, patient);
    expect(performance.now() - abortedMs).toBeLessThan(250);
    const asked = odd.notes().find((each) => each.includes('tools/call')) ?? '';
    expect(cancelled.params).toEqual({ requestId: JSON.parse(asked).id, reason: 'the call was cancelled' });
    expect(textsOf(await mcp.call('odd__echo', { text: 'on' }))).toEqual(['Echo: on']);
  });

  test('gets a small environment and none of our keys', async () => {
    vi.stubEnv('OPENAI_API_KEY', 'sk-secret');
    const { config } = oddServer('plain');
    const mcp = useMcp([{ ...config, env: { PATH: '/usr/bin', GREETING: 'hi' } } as typeof config]);
    await mcp.until('odd', 'connected');
    const [env = ''] = textsOf(await mcp.call('odd__env'));
    expect(JSON.parse(env)).toEqual({ PATH: '/usr/bin', GREETING: 'hi' });
    vi.unstubAllEnvs();
  });
});

describe('its list', () => {
  test('is read anew when it says so, once for many notices, and what did not change stays the same', async () => {
    const odd = oddServer('plain');
    const mcp = useMcp([odd.config]);
    await mcp.until('odd', 'connected');
    const echo = mcp.tool('odd__echo');
    const looks = () => odd.notes().filter((line) => line.includes('tools/list')).length;
    expect(looks()).toBe(1);
    await mcp.call('odd__change');
    await vi.waitFor(() => expect(mcp.statusOf('odd').tools).toContain('odd__added'), patient);
    expect(looks()).toBe(2);
    expect(mcp.tool('odd__echo')).toBe(echo);
    await mcp.call('odd__shrink');
    await vi.waitFor(() => expect(mcp.statusOf('odd').tools).toEqual(['odd__echo']), patient);
  });

  test('that changes all the time is read again only once it was read', async () => {
    const odd = oddServer('storm');
    const mcp = useMcp([odd.config]);
    await mcp.until('odd', 'connected');
    await mcp.call('odd__change');
    await vi.waitFor(() => mcp.tool('odd__calm'), patient);
    await mcp.call('odd__echo', { text: 'x' });
    const looks = odd.notes().filter((line) => line.includes('"tools/list"'));
    expect(looks).toHaveLength(3);
  });

  test('that was read anew has nothing checked twice, not even what was refused', async () => {
    const checks: number[] = [];
    const count: typeof runBounded = (work, timeoutMs) => {
      checks.push(timeoutMs);
      return runBounded(work, timeoutMs);
    };
    const mcp = useMcp([oddServer('slow').config], { runBounded: count });
    await mcp.until('odd', 'connected');
    expect(mcp.statusOf('odd').dropped).toEqual([
      { name: 'slow', reason: 'its input schema takes too long to check' },
    ]);
    const before = checks.length;
    await mcp.call('odd__change');
    await vi.waitFor(() => mcp.tool('odd__added'), patient);
    expect(checks.length - before).toBe(1);
    expect(mcp.statusOf('odd').dropped).toHaveLength(1);
  });

  test('may have 500 tools, in pages, which are offered in the order of their names', async () => {
    const mcp = useMcp([oddServer('many').config]);
    const { tools, dropped } = await mcp.until('odd', 'connected');
    expect(tools).toEqual(
      Array.from({ length: 500 }, (_, index) => `odd__tool_${String(index).padStart(3, '0')}`),
    );
    expect(dropped).toEqual([]);
    expect(textsOf(await mcp.call('odd__tool_499'))).toEqual(['called tool_499']);
  });

  test('is cut after 1,000 tools', async () => {
    const odd = oddServer('endless');
    const mcp = useMcp([odd.config]);
    expect((await mcp.until('odd', 'connected')).tools).toHaveLength(1000);
    expect(odd.notes().filter((line) => line.includes('tools/list'))).toHaveLength(10);
  });

  test('loses the tools that cannot be offered, each with a reason, and keeps the others', async () => {
    const mcp = useMcp([oddServer('odd').config]);
    const startedMs = performance.now();
    const { tools, dropped } = await mcp.until('odd', 'connected');
    expect(performance.now() - startedMs).toBeLessThan(5000);
    expect(tools).toEqual([
      'odd__dots_and_spaces_____f43516d2',
      'odd__draft',
      'odd__draft2',
      'odd__good',
      `odd__${'l'.repeat(50)}_64212c48`,
      'odd__none',
      'odd__wide',
      'odd__wordy',
    ]);
    expect(tools.every((name) => /^[a-zA-Z0-9_-]{1,64}$/.test(name))).toBe(true);
    expect(mcp.tool('odd__wordy').description).toBe(`${'w'.repeat(1023)}…`);
    expect(mcp.tool('odd__none').parameters).toEqual({ type: 'object', properties: {} });
    expect(mcp.tool('odd__draft').parameters).toEqual({
      type: 'object',
      properties: { text: { type: 'string' } },
    });
    const invalid = (problem: string) => `its input schema is not valid: ${problem}`;
    expect(dropped.map(({ name, reason }) => [name.slice(0, 10), reason])).toEqual([
      ['', 'its name does not have 1 to 256 characters'],
      ['', 'its name does not have 1 to 256 characters'],
      ['good', 'the server lists another tool of that name'],
      ['huge', 'its input schema has more than 64 KiB'],
      ['list', 'its input schema is not that of an object'],
      ['nnnnnnnnnn', 'its name does not have 1 to 256 characters'],
      ['outside', invalid("can't resolve reference http://127.0.0.1:9/schema.json from id #")],
      ['pattern', invalid('Invalid regular expression: /(/u: Unterminated group')],
      ['slow', 'its input schema takes too long to check'],
      ['text', 'its input schema is not an object'],
      ['wrong', invalid('schema/properties/a/type must be equal to one of the allowed values')],
    ]);
  });

  test('stays while the server is away, whose tools then fail at once', async () => {
    const odd = oddServer('plain');
    const away = { ...odd.config, name: 'away', command: '/no/such/command' } as typeof odd.config;
    const mcp = useMcp([away, odd.config]);
    await mcp.until('odd', 'connected');
    expect(await mcp.until('away', 'unavailable')).toMatchObject({
      error: 'its command cannot be started (ENOENT)',
      tools: [],
    });
    expect(textsOf(await mcp.call('odd__echo', { text: 'still' }))).toEqual(['Echo: still']);
  });
});

describe('a server that misbehaves', () => {
  test('may write junk between its messages', async () => {
    const mcp = useMcp([oddServer('junk').config]);
    await mcp.until('odd', 'connected');
    expect(textsOf(await mcp.call('odd__echo', { text: 'x' }))).toEqual(['Echo: x']);
  });

  test('that never answers initialize is unavailable after the time limit and tried again', async () => {
    const odd = oddServer('silent');
    const mcp = useMcp([odd.config], { connectTimeoutMs: 500 });
    const { error } = await mcp.until('odd', 'unavailable');
    expect(error).toBe('it did not answer initialize within 0.5 seconds');
    await vi.waitFor(() => expect(odd.pids()).toHaveLength(2), patient);
    await gone(odd.pids()[0] ?? 0);
    expect(mcp.logs).toEqual([
      {
        level: 'warn',
        message: 'MCP server unavailable',
        mcp_server: 'odd',
        reason: 'it did not answer initialize within 0.5 seconds',
      },
    ]);
  });

  test('that exits at its start is tried again', async () => {
    const odd = oddServer('exit');
    const mcp = useMcp([odd.config]);
    expect((await mcp.until('odd', 'unavailable')).error).toBe('its process exited with code 7');
    await vi.waitFor(() => expect(odd.pids().length).toBeGreaterThanOrEqual(3), patient);
  });

  test('that sends a message without end is cut off', async () => {
    const odd = oddServer('flood');
    const mcp = useMcp([odd.config]);
    expect((await mcp.until('odd', 'unavailable')).error).toBe('its process was ended by SIGKILL');
    await gone(odd.pids()[0] ?? 0);
  });

  test('that dies during calls fails them within 5 s, and its tools are back within 15 s', async () => {
    const odd = oddServer('plain');
    const mcp = useMcp([odd.config]);
    await mcp.until('odd', 'connected');
    const started = Promise.withResolvers<void>();
    const hanging = mcp.call('odd__hang', {}, { onProgress: () => started.resolve() });
    await started.promise;
    const crashedMs = performance.now();
    const [first, second] = await Promise.all([hanging, mcp.call('odd__crash')]);
    expect(performance.now() - crashedMs).toBeLessThan(5000);
    const text =
      'The call to the MCP server "odd" failed: the server went away during the call: its process exited with code 3.';
    expect(first).toEqual({ content: [{ type: 'text', text }], isError: true });
    expect(second).toEqual(first);
    expect(mcp.statusOf('odd')).toMatchObject({
      status: 'unavailable',
      error: 'its process exited with code 3',
    });
    expect(mcp.statusOf('odd').tools).toContain('odd__echo');
    expect(await mcp.call('odd__echo')).toEqual({
      content: [
        { type: 'text', text: 'The MCP server "odd" is not available: its process exited with code 3.' },
      ],
      isError: true,
    });
    await mcp.until('odd', 'connected');
    expect(performance.now() - crashedMs).toBeLessThan(15_000);
    expect(textsOf(await mcp.call('odd__echo', { text: 'back' }))).toEqual(['Echo: back']);
    expect(mcp.logs.map(({ message }) => message)).toEqual([
      'MCP server connected',
      'MCP server unavailable',
      'MCP server back',
    ]);
  });
});

describe('close', () => {
  test('ends the process', async () => {
    const odd = oddServer('plain');
    const mcp = useMcp([odd.config]);
    await mcp.until('odd', 'connected');
    const startedMs = performance.now();
    await mcp.close();
    expect(performance.now() - startedMs).toBeLessThan(1000);
    expect(odd.pids().map(isAlive)).toEqual([false]);
  });

  test('kills, after 2 s, a process that ignores SIGTERM, and what that started', async () => {
    const odd = oddServer('stubborn');
    const mcp = useMcp([odd.config]);
    await mcp.until('odd', 'connected');
    const grandchild = Number(
      odd
        .notes()
        .find((line) => line.startsWith('grandchild'))
        ?.slice(11),
    );
    expect(isAlive(grandchild)).toBe(true);
    const startedMs = performance.now();
    await mcp.close();
    const tookMs = performance.now() - startedMs;
    expect(tookMs).toBeGreaterThan(1900);
    expect(tookMs).toBeLessThan(2700);
    expect(odd.notes()).toContain('SIGTERM');
    expect(odd.pids().map(isAlive)).toEqual([false]);
    await gone(grandchild);
  });

  test('while connecting leaves no process, and before the start does nothing', async () => {
    const odd = oddServer('silent');
    const mcp = useMcp([odd.config]);
    await vi.waitFor(() => expect(odd.pids()).toHaveLength(1), patient);
    await mcp.close();
    expect(odd.pids().map(isAlive)).toEqual([false]);
    await useMcp([stdioServer('none', ['-e', ''])]).close();
  });

  test('leaves no timer, no process and no listener', async () => {
    const listeners = process.listenerCount('exit');
    const countOf = (kinds: string[], kind: string) => kinds.filter((each) => each === kind).length;
    await vi.waitFor(() => expect(process.getActiveResourcesInfo()).not.toContain('ProcessWrap'), patient);
    const before = process.getActiveResourcesInfo();
    const added = () => {
      const now = process.getActiveResourcesInfo();
      return [...new Set(now)].filter((kind) => countOf(now, kind) > countOf(before, kind));
    };
    const mcp = useMcp([oddServer('plain').config, oddServer('exit', 'exit').config]);
    await mcp.until('odd', 'connected');
    await mcp.until('exit', 'unavailable');
    await mcp.close();
    expect(process.listenerCount('exit')).toBe(listeners);
    // handles that are closed go a moment later; waiting takes a timer of its own
    await vi.waitFor(() => expect(added().filter((kind) => kind !== 'Timeout')).toEqual([]), patient);
    expect(added()).toEqual([]);
  });
});
