/** The loop without the agent around it: the conversation and its limits are the program's own. */
import {
  type AgentLoopConfig,
  type AgentLoopContext,
  agentLoop,
  createModelRouter,
  defineTool,
} from 'paf-core-agent';

const router = createModelRouter();

const context: AgentLoopContext = {
  systemPrompt: 'You are helpful.',
  messages: [],
  tools: [
    defineTool({
      name: 'shout',
      description: 'Says it loud',
      parameters: { type: 'object', properties: { text: { type: 'string' } }, required: ['text'] },
      isParallel: true,
      execute: (_toolCallId, { text }) => text.toUpperCase(),
    }),
  ],
};
const config: AgentLoopConfig = { model: router.model, maxTurns: 5, toolTimeoutMs: 10_000 };
const question = { role: 'user', content: 'Shout hello.', timestamp: Date.now() };

const stream = agentLoop(question, context, config, AbortSignal.timeout(60_000), router.stream);
for await (const event of stream) {
  if (event.type !== 'message_update') console.log(event.type);
  if (event.type === 'agent_end') context.messages.push(...event.messages);
}
console.log(`${context.messages.length} messages`);
