/** Asks the model that the environment names (without any key: the demo) and prints the answer as it comes. */
import { Agent } from 'paf-core-agent';

const agent = new Agent({ initialState: { systemPrompt: 'You are a helpful assistant.' } });

agent.subscribe((event) => {
  if (event.type !== 'message_update') return;
  const { assistantMessageEvent } = event;
  if (assistantMessageEvent.type === 'text_delta') process.stdout.write(assistantMessageEvent.delta);
});

await agent.prompt('Say hello in one sentence.');
console.log();
if (agent.state.error) throw new Error(agent.state.error);
