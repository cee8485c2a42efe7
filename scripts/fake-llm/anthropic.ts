import { type MessagesRequest, messagesProblem } from './anthropic-request.ts';
import { messageTimeline } from './anthropic-timeline.ts';
import { asChatRequest, messagesError, promptTokens, wholeMessage } from './anthropic-wire.ts';
import { replyTo } from './commands.ts';
import { type Fake, type FakeLlmOptions, type FakeWire, startFake } from './serve.ts';

/** A server that speaks Anthropic's Messages. */
export type FakeAnthropic = Fake<MessagesRequest>;

export type FakeAnthropicOptions = FakeLlmOptions & {
  /** false: as the newest models, refuse to continue a message of the assistant */
  prefill?: boolean;
};

export function startFakeAnthropic(options: FakeAnthropicOptions = {}): Promise<FakeAnthropic> {
  return startFake(messagesWire(options.prefill ?? true), options);
}

function messagesWire(takesPrefill: boolean): FakeWire<MessagesRequest> {
  return {
    route: 'POST /v1/messages',
    isAuthorized: (headers, apiKey) =>
      headers['x-api-key'] === apiKey || headers.authorization === `Bearer ${apiKey}`,
    errorBody: messagesError,
    refusalOf(body, contextWindow, headers) {
      const problem = messagesProblem(body, { takesPrefill, version: headers['anthropic-version'] });
      if (problem !== undefined) return messagesError(400, problem);
      const prompt = promptTokens(body as MessagesRequest);
      if (prompt <= contextWindow) return undefined;
      return messagesError(400, `prompt is too long: ${prompt} tokens > ${contextWindow} maximum`);
    },
    replyTo: (request, defaults) => replyTo(asChatRequest(request), defaults),
    isStreamed: (request) => request.stream === true,
    timeline: messageTimeline,
    whole: wholeMessage,
    modelList: (models) => ({
      data: models.map((model) => ({
        type: 'model',
        display_name: model.id,
        created_at: '2026-01-01T00:00:00Z',
        ...model,
      })),
      has_more: false,
      first_id: models[0]?.id ?? null,
      last_id: models.at(-1)?.id ?? null,
    }),
  };
}
