/** An agent in a browser: its tools run there, and a service of ours, which has the keys, calls the model. */
import { Agent, type Model, streamProxy } from 'paf-core-agent/browser';

export type Page = {
  /** where the service is; empty: where the page came from */
  service: string;
  /** of the signed-in user */
  token: string;
  model: Pick<Model, 'provider' | 'id'>;
  render(text: string): void;
};

export async function ask(page: Page, question: string): Promise<string | undefined> {
  const agent = new Agent({
    initialState: {
      model: page.model as Model,
      tools: [
        {
          name: 'page_language',
          description: 'The language of the page that the user sees',
          parameters: { type: 'object', properties: {} },
          execute: () => globalThis.navigator.language,
        },
      ],
    },
    streamFn: (model, context, options) =>
      streamProxy(`${page.service}/api/agent`, model, context, options, {
        authorization: `Bearer ${page.token}`,
      }),
  });
  agent.subscribe((event) => {
    if (event.type !== 'message_update') return;
    page.render(event.message.content.map((block) => (block.type === 'text' ? block.text : '')).join(''));
  });
  await agent.prompt(question);
  return agent.state.error;
}
