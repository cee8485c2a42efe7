import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineTool, ToolExecutor } from 'paf-core-agent';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { useFolder } from '../helpers/folders.ts';
import {
  everythingFile,
  filesystemFile,
  freePort,
  isAlive,
  oddServer,
  patient,
  startEverything,
} from '../helpers/mcp.ts';
import { useEnv } from '../helpers/program.ts';

beforeEach(() => useEnv({}));

const node = process.execPath;
const everything = { command: node, args: [everythingFile] };
const echo = defineTool({
  name: 'shout',
  description: 'Says it louder.',
  parameters: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
  execute: (_id, { text }) => String(text).toUpperCase(),
});

function useExecutor(options: { timeoutMs?: number } = {}): ToolExecutor {
  const tools = new ToolExecutor(options);
  onTestFinished(() => tools.close());
  return tools;
}

test('tools of the program', async () => {
  const tools = useExecutor();
  tools.register(echo);
  tools.register({
    name: 'broken',
    description: '',
    parameters: { type: 'object' },
    execute: () => {
      throw new Error('No such room.');
    },
  });
  expect(tools.list().map(({ name }) => name)).toEqual(['shout', 'broken']);
  expect(await tools.execute('shout', { text: 'hello' })).toEqual({
    text: 'HELLO',
    content: [{ type: 'text', text: 'HELLO' }],
    isError: false,
  });
  expect(await tools.execute('broken')).toMatchObject({ text: 'No such room.', isError: true });
  expect(await tools.execute('shout', { text: 7 })).toEqual({
    text: 'The arguments do not fit: arguments/text must be string.',
    content: [expect.anything()],
    isError: true,
  });
  await expect(tools.execute('whisper')).rejects.toThrow(
    'There is no tool named "whisper"; there is: shout, broken.',
  );
  expect(() => tools.register(echo)).toThrow('There is a tool named "shout" already.');
});

test('a tool that hangs, and one that is cancelled', async () => {
  const tools = useExecutor({ timeoutMs: 50 });
  let aborted: unknown;
  let onStarted = () => {};
  tools.register({
    name: 'hang',
    description: '',
    parameters: { type: 'object' },
    execute: (_id, _args, signal) =>
      new Promise((_resolve, reject) => {
        onStarted();
        signal.addEventListener('abort', () => {
          aborted = signal.reason;
          reject(signal.reason);
        });
      }),
  });
  expect(await tools.execute('hang')).toMatchObject({
    text: 'The tool did not answer within 0.05 seconds.',
    isError: true,
  });
  const controller = new AbortController();
  const reason = new Error('Enough');
  const started = new Promise<void>((resolve) => {
    onStarted = resolve;
  });
  const call = tools.execute('hang', {}, { signal: controller.signal });
  await started;
  controller.abort(reason);
  await expect(call).rejects.toBe(reason);
  expect(aborted).toBe(reason);
  await expect(tools.execute('hang', {}, { signal: controller.signal })).rejects.toBe(reason);
});

test('a listener that throws ends the call', async () => {
  const tools = useExecutor();
  let given: AbortSignal | undefined;
  tools.register({
    name: 'hang',
    description: '',
    parameters: { type: 'object' },
    execute: (_id, _args, signal, onUpdate) => {
      given = signal;
      onUpdate({ content: [{ type: 'text', text: 'Half way.' }] });
      return new Promise(() => {});
    },
  });
  const onProgress = () => {
    throw new Error('No.');
  };
  await expect(tools.execute('hang', {}, { onProgress })).rejects.toThrow('No.');
  expect(given?.aborted).toBe(true);
});

test('an MCP server over stdio: its tools by their whole names and without the server', async () => {
  const tools = useExecutor();
  await tools.registerMCP('all', everything);
  expect(tools.list().map(({ name }) => name)).toContain('all__echo');
  const outcome = { text: 'Echo: hello', isError: false };
  expect(await tools.execute('all__echo', { message: 'hello' })).toMatchObject(outcome);
  expect(await tools.execute('echo', { message: 'hello' })).toMatchObject(outcome);
  expect(await tools.execute('echo', {})).toMatchObject({ isError: true });
  await expect(tools.execute('cho')).rejects.toThrow(/^There is no tool named "cho"; there is: all__echo, /);
  const seen: unknown[] = [];
  await tools.execute(
    'trigger-long-running-operation',
    { duration: 0.2, steps: 2 },
    { onProgress: (progress) => seen.push(progress) },
  );
  expect(seen).toMatchObject([
    { progress: 1, total: 2 },
    { progress: 2, total: 2 },
  ]);
});

test('a name that two servers have', async () => {
  const tools = useExecutor();
  const folder = useFolder();
  writeFileSync(join(folder, 'a.txt'), 'One.');
  const files = { command: node, args: [filesystemFile, folder] };
  await Promise.all([tools.registerMCP('one', files), tools.registerMCP('two', files)]);
  await expect(tools.execute('read_text_file', {})).rejects.toThrow(
    'Several tools are named "read_text_file": one__read_text_file, two__read_text_file.',
  );
  const args = { path: join(folder, 'a.txt') };
  expect(await tools.execute('two__read_text_file', args)).toMatchObject({ text: 'One.' });
  // a tool of the program's own is meant by its name
  tools.register({ ...echo, name: 'read_text_file' });
  expect(await tools.execute('read_text_file', { text: 'mine' })).toMatchObject({ text: 'MINE' });
});

test('an MCP server over HTTP', async () => {
  const server = await startEverything('streamableHttp');
  const tools = useExecutor();
  await tools.registerMCP('far', { url: server.url, headers: { 'X-Team': 'blue' } });
  expect(await tools.execute('echo', { message: 'hello' })).toMatchObject({ text: 'Echo: hello' });
  await expect(tools.registerMCP('far', { url: server.url })).rejects.toThrow(
    'There is an MCP server named "far" already.',
  );
});

test('a server that cannot be used is told of at once, and its name stays free', async () => {
  const tools = useExecutor();
  const errorOf = (server: Parameters<ToolExecutor['registerMCP']>[1]) =>
    tools.registerMCP('odd', server).then(
      () => 'registered',
      (error: Error) => error.message,
    );
  expect(await errorOf({ command: 'no-such-program' })).toBe(
    'The MCP server "odd" cannot be used: its command cannot be started (ENOENT).',
  );
  expect(await errorOf({ command: node, args: ['-e', 'process.exit(7)'] })).toBe(
    'The MCP server "odd" cannot be used: its process exited with code 7.',
  );
  expect(await errorOf({ url: `http://127.0.0.1:${await freePort()}/mcp` })).toBe(
    'The MCP server "odd" cannot be used: nothing listens at its address.',
  );
  expect(await errorOf({ command: ' ' })).toBe('MCP server: odd.command must be a text');
  expect(await errorOf({ command: node, env: { KEY: `\${NO_SUCH}` } })).toBe(
    'MCP server: odd.env.KEY names the variable NO_SUCH, which is not set',
  );
  await expect(tools.registerMCP('a__b', everything)).rejects.toThrow(/^MCP server: a server's name must/);
  expect(tools.list()).toEqual([]);
  await tools.registerMCP('odd', everything);
  expect(tools.list().length).toBeGreaterThan(5);
});

test('one name that is registered twice at once, and a close meanwhile, leave no process behind', async () => {
  const tools = useExecutor();
  const odd = oddServer('');
  const { command, args, env } = odd.config as {
    command: string;
    args: string[];
    env: Record<string, string>;
  };
  const again = [1, 2].map(() => tools.registerMCP('odd', { command, args, env }));
  expect(await Promise.allSettled(again)).toMatchObject([
    { status: 'fulfilled' },
    { status: 'rejected', reason: new Error('There is an MCP server named "odd" already.') },
  ]);
  const late = tools.registerMCP('late', { command, args, env });
  const refused = expect(late).rejects.toThrow('This ToolExecutor is closed.');
  await tools.close();
  await refused;
  expect(odd.pids()).toHaveLength(1);
  expect(odd.pids().filter(isAlive)).toEqual([]);
});

test('a server that never answers is given up in time, and its process ends', async () => {
  const tools = useExecutor();
  const odd = oddServer('silent');
  const { command, args, env } = odd.config as {
    command: string;
    args: string[];
    env: Record<string, string>;
  };
  await expect(tools.registerMCP('odd', { command, args, env }, { timeoutMs: 800 })).rejects.toThrow(
    /^The MCP server "odd" cannot be used: .* within 0.8 seconds\.$/,
  );
  expect(odd.pids().filter(isAlive)).toEqual([]);
  const controller = new AbortController();
  const reason = new Error('Enough');
  const registration = tools.registerMCP('odd', { command, args, env }, { signal: controller.signal });
  await vi.waitFor(() => expect(odd.pids()).toHaveLength(2), patient);
  controller.abort(reason);
  await expect(registration).rejects.toBe(reason);
  expect(odd.pids().filter(isAlive)).toEqual([]);
});

test('close leaves no process behind', async () => {
  const tools = useExecutor();
  const odd = oddServer('');
  const { command, args, env } = odd.config as {
    command: string;
    args: string[];
    env: Record<string, string>;
  };
  await tools.registerMCP('odd', { command, args, env });
  expect(odd.pids().filter(isAlive)).toHaveLength(1);
  await tools.close();
  expect(odd.pids().filter(isAlive)).toEqual([]);
  await expect(tools.registerMCP('odd', everything)).rejects.toThrow('This ToolExecutor is closed.');
});
