import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Setting, settings } from '../../src/config/settings.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const tsc = join(root, 'node_modules/typescript/bin/tsc');
/** A program that has installed the package. */
let program: string;
let installed: string;

beforeAll(() => {
  program = mkdtempSync(join(tmpdir(), 'paf-program-'));
  installed = join(program, 'node_modules/paf-core-agent');
  const dist = join(installed, 'dist');
  mkdirSync(dist, { recursive: true });
  run([tsc, '-p', root, '--outDir', dist, '--incremental', 'false', '--tsBuildInfoFile', 'null']);
  cpSync(join(root, 'src/llm/models.yaml'), join(dist, 'llm/models.yaml'));
  for (const name of ['package.json', 'README.md', 'LICENSE'])
    cpSync(join(root, name), join(installed, name));
  symlinkSync(join(root, 'node_modules'), join(installed, 'node_modules'));
  symlinkSync(join(root, 'node_modules/@types'), join(program, 'node_modules/@types'));
  symlinkSync(join(root, 'node_modules/typebox'), join(program, 'node_modules/typebox'));
  writeFileSync(join(program, 'package.json'), '{"type":"module"}');
}, 120_000);

afterAll(() => rmSync(program, { recursive: true, force: true }));

function run(args: string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: program,
    encoding: 'utf8',
    env,
  });
  if (status !== 0) throw new Error(`${stdout}\n${stderr}`);
  return stdout;
}

/** Runs a program against the installed package. */
function runProgram(source: string, env: NodeJS.ProcessEnv = process.env): unknown {
  return JSON.parse(run(['--input-type=module', '--eval', source], env));
}

/** What the compiler says of a program; empty when all is well. */
function compile(source: string): string {
  writeFileSync(join(program, 'main.ts'), source);
  const options = '--noEmit --strict --exactOptionalPropertyTypes --skipLibCheck --types node';
  const target = '--target es2024 --module nodenext --pretty false main.ts';
  const { stdout } = spawnSync(process.execPath, [tsc, ...`${options} ${target}`.split(' ')], {
    cwd: program,
    encoding: 'utf8',
  });
  return stdout;
}

test('the package is in order', { timeout: 60_000 }, async () => {
  const { messages } = await publint({ pkgDir: installed, strict: true, pack: false });
  expect(messages).toEqual([]);
});

describe('types', () => {
  const merged = `
    import { Agent, type AgentMessage } from 'paf-core-agent';
    declare module 'paf-core-agent' {
      interface CustomAgentMessages {
        note: { role: 'note'; text: string; timestamp: number };
      }
    }
    const note: AgentMessage = { role: 'note', text: 'Mine', timestamp: 1 };
    export const agent = new Agent({
      initialState: { messages: [note] },
      convertToLlm: (messages) => messages.map((m) =>
        m.role === 'note' ? { role: 'user', content: m.text, timestamp: m.timestamp } : m),
    });
    agent.appendMessage(note);
  `;

  test('take message types of a program', { timeout: 60_000 }, () => {
    expect(compile(merged)).toBe('');
  });

  test('refuse message types that nobody declared', { timeout: 60_000 }, () => {
    const undeclared = merged.replace(/declare module[\s\S]*?\n {4}\}/, '');
    expect(compile(undeclared)).toMatch(/^main\.ts\(4,\d+\): error TS2322: Type '"note"' is not assignable/);
  });

  test('give a tool the arguments that its schema describes', { timeout: 60_000 }, () => {
    const source = `
      import { Type } from 'typebox';
      import { Agent, defineTool, type AgentTool, type Tool } from 'paf-core-agent';
      const byTypeBox: Tool = defineTool({
        name: 'add', label: 'Add', description: 'Adds',
        parameters: Type.Object({ a: Type.Number(), b: Type.Optional(Type.Number()) }),
        roles: ['member'], isParallel: true, timeoutMs: 1000,
        execute: async (toolCallId, { a, b = 0 }, signal, onUpdate, { caller }) => {
          onUpdate({ content: [{ type: 'text', text: \`\${toolCallId} \${signal.aborted} \${caller.subject}\` }] });
          return { content: [{ type: 'text', text: (a + b).toFixed(1) }], details: { a } };
        },
      });
      const bySchema = defineTool({
        name: 'shout', description: 'Shouts',
        parameters: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
        execute: (_id, { text }) => text.toUpperCase(),
      });
      defineTool({
        name: 'wrong', description: 'Takes a text for a number',
        parameters: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
        // @ts-expect-error: a text has no toFixed
        execute: (_id, { text }) => text.toFixed(1),
      });
      const plain: AgentTool = {
        name: 'plain', label: 'Plain', description: '', parameters: { type: 'object' },
        execute: async (_id, params) => ({ content: [{ type: 'text', text: String(params.x) }], details: {} }),
      };
      new Agent({ initialState: { tools: [byTypeBox, bySchema, plain,
        { name: 'inline', description: '', parameters: { type: 'object' }, execute: (_id, { x }) => String(x) },
      ] } });
    `;
    expect(compile(source)).toBe('');
  });
});

test('the parts of a runtime fit together', { timeout: 60_000 }, () => {
  const source = `
    import { AgentRuntime, AgentServer, createModelRouter, JsonlSessionStore, MemorySessionStore,
      RedisSessionStore, SessionManager, ToolExecutor, type AgentConfig, type QueryMessage } from 'paf-core-agent';
    const config: AgentConfig = {
      systemPrompt: 'You help.', maxTurns: 10, defaultEffort: 'standard',
      mcpServers: [{ name: 'files', command: 'npx', args: ['x'], env: { A: 'b' } }, { name: 'far', url: 'http://x/mcp' }],
    };
    for (const store of [new MemorySessionStore(), new JsonlSessionStore('x'), new RedisSessionStore('redis://x')])
      new SessionManager(store, { maxSessions: 3, conflict: 'enqueue' });
    const sessionManager = new SessionManager();
    const toolExecutor = new ToolExecutor();
    const parts = { llm: createModelRouter(), sessionManager, toolExecutor, config };
    export const server = new AgentServer({ port: 8080, host: 'x', ...parts });
    const runtime = new AgentRuntime(parts);
    export async function ask(signal: AbortSignal): Promise<string> {
      const last: QueryMessage[] = [];
      for await (const message of runtime.query('Hi', undefined, { signal, effort: 'quick' })) {
        if (message.type === 'tool_call') console.log(message.toolCall.name.length, message.sessionId.length);
        if (message.type === 'complete') console.log(message.usage.input_tokens.toFixed());
        last.push(message);
      }
      const { response, sessionId, usage } = await runtime.querySync('Hi', 'mine');
      const { text } = await toolExecutor.execute('echo', { message: 'x' }, { signal });
      return [response, sessionId, usage.inputTokens.toFixed(), text].join();
    }
    // @ts-expect-error: there is no such effort
    new AgentRuntime({ config: { defaultEffort: 'heroic' } });
  `;
  expect(compile(source)).toBe('');
});

describe('import', () => {
  test('does nothing: it reads no setting and loads no SDK of a vendor; nor does making anything', () => {
    const seen = runProgram(
      `import { registerHooks } from 'node:module';
       const loaded = [];
       registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
       const read = [];
       process.env = new Proxy(process.env, { get(env, name) { read.push(name); return env[name]; } });
       const { AgentRuntime, AgentServer, RedisSessionStore, SessionManager, ToolExecutor } = await import('paf-core-agent');
       const sessionManager = new SessionManager(new RedisSessionStore('redis://localhost:1'));
       const parts = { sessionManager, toolExecutor: new ToolExecutor() };
       new AgentServer(parts);
       new AgentRuntime(parts).query('Nobody reads this.');
       const own = new Set(${JSON.stringify(Object.values<Setting>(settings).map(({ env }) => env))});
       console.log(JSON.stringify({
         read: read.filter((name) => own.has(name)),
         vendors: loaded.filter((url) => /openai\\/|@anthropic-ai|@aws-sdk|fastify|pino|prom-client|ioredis|undici|@modelcontextprotocol|gpt-tokenizer|node_modules\\/ws\\//.test(url)),
         handles: process.getActiveResourcesInfo().filter((name) => /Timeout|TCP|FSReq/.test(name)),
       }));`,
      { ...process.env, PORT: 'no port', MAX_TURNS: '-1' },
    );
    expect(seen).toEqual({ read: [], vendors: [], handles: [] });
  });

  test('a wrong setting is told of by the first call', () => {
    const message = runProgram(
      `import { getModel, streamSimple } from 'paf-core-agent';
       const context = { messages: [{ role: 'user', content: 'Hi', timestamp: 1 }] };
       const { stopReason, errorMessage } = await streamSimple(getModel('demo', 'demo'), context).result();
       console.log(JSON.stringify({ stopReason, errorMessage }));`,
      { ...process.env, MAX_TURNS: '-1' },
    );
    expect(message).toEqual({ stopReason: 'error', errorMessage: expect.stringMatching(/^MAX_TURNS must/) });
  });

  test('getModel gives a model of every provider, and names what providers there are', () => {
    const seen = runProgram(
      `import { getModel } from 'paf-core-agent';
       const tell = (...names) => {
         try { const { id, accepts } = getModel(...names); return [id, accepts.tools] } catch (error) { return error.message }
       };
       console.log(JSON.stringify([tell('openai', 'gpt-4o-mini'), tell('anthropic', 'claude-haiku-4-5-20251001'),
         tell('anthropic', 'claude-sonnet-4-20250514'), tell('ollama', 'qwen3'), tell('nobody', 'x'), tell('openai', '')]));`,
    );
    expect(seen).toEqual([
      ['gpt-4o-mini', true],
      ['claude-haiku-4-5', true],
      ['claude-sonnet-4-20250514', true],
      ['qwen3', true],
      'There is no provider "nobody"; there is: openai, anthropic, bedrock, vllm, ollama.',
      'The id of a model has 1 to 200 characters, and not 0.',
    ]);
  });
});

/** Every module that a file loads, directly or not: files of the package, and the names of others. */
function loadedBy(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(/(?:from |import\()'([^']+)'/g)) {
    if (name.startsWith('.')) loadedBy(join(dirname(file), name), seen);
    else seen.add(name);
  }
  return seen;
}

describe('the part for browsers', () => {
  test('loads nothing of Node, and of other packages only what runs everywhere', () => {
    const loaded = [...loadedBy(join(installed, 'dist/browser.js'))];
    expect(loaded.filter((name) => name.startsWith('node:') || builtinModules.includes(name))).toEqual([]);
    expect(loaded.filter((name) => !name.startsWith('/')).toSorted()).toEqual([
      'ajv/dist/2020.js',
      'eventsource-parser',
    ]);
  });

  test('is what a bundler for browsers takes, and says what it needs', () => {
    const source = `import * as all from 'paf-core-agent';
      const agent = new all.Agent({ initialState: { model: { id: 'm', provider: 'p' } } });
      const error = await agent.prompt('Hi').catch(({ message }) => message);
      const model = (() => { try { return new all.Agent().state } catch ({ message }) { return message } })();
      console.log(JSON.stringify({ names: Object.keys(all), error, model }));`;
    const seen = JSON.parse(run(['--conditions=browser', '--input-type=module', '--eval', source]));
    expect(seen).toEqual({
      names: ['Agent', 'agentLoop', 'agentLoopContinue', 'createMessageQueue', 'defineTool', 'streamProxy'],
      error: 'In a browser an agent needs a streamFn, for example one that calls streamProxy.',
      model: 'In a browser an agent needs initialState.model, or setModel.',
    });
  });
});
