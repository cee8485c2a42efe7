/** A tool with typed arguments and progress, and a message that is said while it runs. */
import { Agent, defineTool } from 'paf-core-agent';
import { Type } from 'typebox';

const rooms = new Map([
  [101, 'clean'],
  [102, 'dirty'],
]);

const roomStatus = defineTool({
  name: 'room_status',
  label: 'Room status',
  description: 'Tells whether a hotel room is clean.',
  parameters: Type.Object({ room: Type.Integer({ description: 'its number' }) }),
  timeoutMs: 5000,
  async execute(_toolCallId, { room }, signal, onUpdate) {
    signal.throwIfAborted();
    onUpdate({ content: [{ type: 'text', text: `Looking up ${room} …` }] });
    const status = rooms.get(room);
    if (!status) throw new Error(`There is no room ${room}; there is: ${[...rooms.keys()].join(', ')}.`);
    return { content: [{ type: 'text', text: `Room ${room} is ${status}.` }], details: { room, status } };
  },
});

const agent = new Agent({
  initialState: { systemPrompt: 'You help the staff of a hotel.', tools: [roomStatus] },
});

agent.subscribe((event) => {
  switch (event.type) {
    case 'tool_execution_start':
      console.log(`${event.toolName} ${JSON.stringify(event.args)}`);
      agent.steer({ role: 'user', content: 'Be very brief.', timestamp: Date.now() });
      break;
    case 'tool_execution_end':
      console.log(event.isError ? 'failed:' : 'result:', event.result.content);
      break;
    case 'message_end':
      if (event.message.role === 'assistant') console.log('assistant:', event.message.content);
      break;
  }
});

await agent.prompt('Is room 102 clean?');
if (agent.state.error) throw new Error(agent.state.error);
