/** Agents inside a program: a session in memory, a tool of its own, and the files of a folder over an MCP server. */
import { AgentRuntime, createModelRouter, defineTool, SessionManager, ToolExecutor } from 'paf-core-agent';

const tools = new ToolExecutor();
tools.register(
  defineTool({
    name: 'room_status',
    description: 'Tells whether a hotel room is clean.',
    parameters: { type: 'object', properties: { room: { type: 'integer' } }, required: ['room'] },
    execute: (_id, { room }) => `Room ${room} is clean.`,
  }),
);
await tools.registerMCP('files', {
  command: process.execPath,
  args: ['node_modules/@modelcontextprotocol/server-filesystem/dist/index.js', import.meta.dirname],
});

const runtime = new AgentRuntime({
  // without an address and a key of its own it takes those of the environment
  llm: createModelRouter(),
  sessionManager: new SessionManager(),
  toolExecutor: tools,
  config: { systemPrompt: 'You help at the front desk of a hotel.', maxTurns: 5 },
});

for await (const message of runtime.query('Is room 102 clean?', 'front-desk')) {
  if (message.type === 'chunk') process.stdout.write(message.content);
  if (message.type === 'tool_result') console.log(`[${message.toolResult.result}]`);
  if (message.type === 'error') throw new Error(message.error);
}
const { response, sessionId } = await runtime.querySync('Thank you!', 'front-desk');
console.log(`\n${sessionId}: ${response}`);

const { text } = await tools.execute('list_directory', { path: import.meta.dirname });
console.log(text.includes('agent-runtime.ts'));

await runtime.close();
await tools.close();
