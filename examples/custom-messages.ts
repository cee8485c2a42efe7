/** A message type of one's own, which the model is told in words, and a context that stays short. */
import { Agent, type AgentMessage } from 'paf-core-agent';

declare module 'paf-core-agent' {
  interface CustomAgentMessages {
    bookmark: { role: 'bookmark'; title: string; url: string; timestamp: number };
  }
}

const bookmark: AgentMessage = {
  role: 'bookmark',
  title: 'Message queues',
  url: 'https://example.com/queues',
  timestamp: Date.now(),
};

const agent = new Agent({
  initialState: { messages: [bookmark] },
  transformContext: async (messages) => messages.slice(-20),
  convertToLlm: (messages) =>
    messages.map((message) => {
      if (message.role !== 'bookmark') return message;
      const content = `[Bookmark: ${message.title}] ${message.url}`;
      return { role: 'user', content, timestamp: message.timestamp };
    }),
});

await agent.prompt('What did I bookmark?');
console.log(agent.state.messages.map(({ role }) => role).join(' '));
if (agent.state.error) throw new Error(agent.state.error);
