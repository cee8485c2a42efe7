import { parseArgs } from 'node:util';
import { commandUsage } from './fake-llm/commands.ts';
import { faultUsage, parseFault } from './fake-llm/faults.ts';
import { type FakeLlmOptions, startFakeLlm } from './fake-llm/server.ts';

const usage = `A fake model server that speaks the OpenAI Chat Completions protocol.

Usage: tsx scripts/fake-llm.ts [options]

  --port N             default 9000; 0 takes a free one
  --host HOST          default 127.0.0.1
  --model ID           default fake-model; repeat it for more
  --tokens N           length of every answer; default: a sentence that repeats the message
  --delay-ms N         pause between tokens, default 0
  --context-window N   refuse longer prompts
  --api-key KEY        refuse requests without it
  --fault FAULT        what goes wrong with every answer
  --help

Faults:
${faultUsage}

In a message:
${commandUsage}
`;

const flags = {
  port: { type: 'string', default: '9000' },
  host: { type: 'string', default: '127.0.0.1' },
  model: { type: 'string', multiple: true },
  tokens: { type: 'string' },
  'delay-ms': { type: 'string' },
  'context-window': { type: 'string' },
  'api-key': { type: 'string' },
  fault: { type: 'string' },
  help: { type: 'boolean', short: 'h', default: false },
} as const;

/** The options that the command line names; undefined when it asks for help. Throws with a message for the user. */
function readOptions(args: string[]): (FakeLlmOptions & { port: number }) | undefined {
  const { values } = parseArgs({ args, options: flags, strict: true, allowPositionals: false });
  if (values.help) return undefined;
  if (values.fault !== undefined) parseFault(values.fault);
  const contextWindow = number('context-window', values['context-window'], 1);
  const tokens = number('tokens', values.tokens, 0);
  const delayMs = number('delay-ms', values['delay-ms'], 0);
  const limit = contextWindow === undefined ? {} : { max_model_len: contextWindow };
  return {
    port: number('port', values.port, 0, 65_535) ?? 0,
    host: values.host,
    models: (values.model ?? ['fake-model']).map((id) => ({ id, ...limit })),
    record: false,
    ...(contextWindow !== undefined && { contextWindow }),
    ...(tokens !== undefined && { tokens }),
    ...(delayMs !== undefined && { delayMs }),
    ...(values['api-key'] !== undefined && { apiKey: values['api-key'] }),
    ...(values.fault !== undefined && { fault: values.fault }),
  };
}

function number(flag: string, text: string | undefined, min: number, max = 1e9): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`--${flag} must be a whole number from ${min} to ${max}, not "${text}"`);
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(usage);
    return;
  }
  const fake = await startFakeLlm(options);
  const model = options.models?.[0]?.id;
  console.log(`fake LLM on ${fake.url} - use it with OPENAI_BASE_URL=${fake.url} LLM_MODEL=${model}`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void fake.close());
}

try {
  await main();
} catch (error) {
  console.error(`fake-llm: ${(error as Error).message}\nTry --help.`);
  process.exitCode = 2;
}
