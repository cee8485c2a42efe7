import type { FakeLlm } from '../../scripts/fake-llm/server.ts';
import {
  Agent,
  type AgentEvent,
  type AgentOptions,
  type AgentState,
  createModelRouter,
  type ModelRouter,
} from '../../src/index.ts';
import { useFakeLlm } from './fake-llm.ts';

export type FakeModelWay = { fake: FakeLlm; router: ModelRouter };

/** A fake model server and the library's way to it. */
export async function useFakeModel(): Promise<FakeModelWay> {
  const fake = await useFakeLlm({ requireScript: true });
  const router = createModelRouter({ apiKey: 'sk-test', baseUrl: fake.url, model: 'fake-model' });
  return { fake, router };
}

export type Followed = { agent: Agent; events: AgentEvent[] };

/** An agent that asks the fake model, and its events so far. */
export function followedAgent(
  { router }: FakeModelWay,
  state: Partial<AgentState> = {},
  options: AgentOptions = {},
): Followed {
  const agent = new Agent({
    streamFn: router.stream,
    ...options,
    initialState: { model: router.model, ...state },
  });
  const events: AgentEvent[] = [];
  agent.subscribe((event) => events.push(event));
  return { agent, events };
}

/** One word for each event, with what it is about; neighbours that say the same are one. */
export function outline(events: AgentEvent[]): string[] {
  const lines = events.map((event) => {
    if ('message' in event) return `${event.type} ${event.message.role}`;
    if ('toolCallId' in event) return `${event.type} ${event.toolCallId}`;
    return event.type;
  });
  return lines.filter((line, index) => line !== lines[index - 1] || !line.startsWith('message_update'));
}
