import { replyTo } from './commands.ts';
import { type ChatRequest, requestProblem } from './request.ts';
import { type Fake, type FakeLlmOptions, type FakeWire, startFake } from './serve.ts';
import { timeline } from './timeline.ts';
import { type Completion, errorBody, promptTokens, wholeCompletion } from './wire.ts';

export { hold, type ScriptedReply } from './reply.ts';
export type { FakeLlmOptions } from './serve.ts';

/** A server that speaks Chat Completions. */
export type FakeLlm = Fake<ChatRequest>;

export function startFakeLlm(options: FakeLlmOptions = {}): Promise<FakeLlm> {
  return startFake(chatCompletions, options);
}

const chatCompletions: FakeWire<ChatRequest> = {
  route: 'POST /v1/chat/completions',
  isAuthorized: (headers, apiKey) => headers.authorization === `Bearer ${apiKey}`,
  errorBody,
  refusalOf,
  replyTo,
  isStreamed: (request) => request.stream === true,
  timeline: (reply, request, number) => timeline(reply, completionOf(request, number), request),
  whole: (reply, request, number) => wholeCompletion(reply, completionOf(request, number), request),
  modelList: (models) => ({
    object: 'list',
    data: models.map((model) => ({
      object: 'model',
      created: 1_700_000_000,
      owned_by: 'fake',
      ...model,
    })),
  }),
};

function completionOf(request: ChatRequest, number: number): Completion {
  return {
    id: `chatcmpl-fake-${number}`,
    created: Math.floor(Date.now() / 1000),
    model: request.model,
  };
}

function refusalOf(body: unknown, contextWindow: number): object | undefined {
  const problem = requestProblem(body);
  if (problem !== undefined) return errorBody(400, problem);
  const prompt = promptTokens(body as ChatRequest);
  if (prompt <= contextWindow) return undefined;
  const message = `This model's maximum context length is ${contextWindow} tokens. However, your messages resulted in ${prompt} tokens.`;
  return errorBody(400, message, 'context_length_exceeded');
}
