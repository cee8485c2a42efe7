import type { App } from '../../app.js';
import type { FieldProblem } from '../../core/errors.js';
import { type Effort, type Message, textOf } from '../../core/message.js';
import { inputOf, type ModelRequest, runModel } from '../../pipeline/run-model.js';
import type { Services } from '../../services.js';
import { isBase64 } from '../check-chat-body.js';
import { invalidRequest } from '../plugins/errors.js';
import { AgentBody } from '../schemas/agent.js';
import { problemResponses } from '../schemas/common.js';
import { sendEvents, streamResponse } from '../send-events.js';
import { untilClosed } from '../until-closed.js';

/** The model back end of agents whose loop and tools are elsewhere, such as in a browser. */
export function registerAgentRoute(app: App, services: Services): void {
  app.post(
    '/api/agent',
    {
      schema: {
        operationId: 'streamModel',
        summary: 'Call a model once for an agent that runs its own loop',
        description:
          'For `streamProxy` of the library. The tools that the model asks for are told of in `tool_call` events and not run. ' +
          'There are no phases and no checks.',
        tags: ['agent'],
        security: [],
        body: AgentBody,
        response: {
          200: streamResponse,
          ...problemResponses(
            'invalid_request',
            'payload_too_large',
            'unsupported_media_type',
            'overloaded',
            'shutting_down',
            'internal_error',
          ),
        },
      },
      config: { isStream: true },
    },
    async (request, reply) => {
      const asked = toModelRequest(services, request.body, request.identity.caller.tenant);
      const { quotas } = services.limits;
      await quotas?.check(asked.tenant, [asked.model], () => inputOf(asked), untilClosed(reply));
      const run = services.runs.start(
        {
          owner: request.identity.caller,
          requestId: request.id,
          message: lastSaid(asked.messages),
          showThinking: true,
          onDisconnect: 'cancel',
        },
        () =>
          ({ deadlineAt, signal }) =>
            runModel(services.pipeline, asked, deadlineAt, signal),
      );
      return sendEvents(services, reply, run, 0);
    },
  );
}

/** Throws with every problem of the body that its schema cannot say. */
function toModelRequest(
  { catalog }: Services,
  { model, context, options = {} }: AgentBody,
  tenant: string,
): ModelRequest {
  const { systemPrompt, messages, tools = [] } = context;
  const problems = messages.flatMap(imageProblems);
  if (messages.at(-1)?.role === 'assistant') {
    problems.push({ path: 'context.messages', message: `must not end with the assistant's` });
  }
  const known = catalog.find(model.id, model.provider);
  if (!known)
    problems.push({ path: 'model', message: 'is not available; GET /api/chat/models lists what is' });
  if (!known || problems.length > 0) throw invalidRequest(problems);
  const system: Message[] = systemPrompt ? [{ role: 'system', content: systemPrompt }] : [];
  return {
    model: known,
    messages: [...system, ...(messages as Message[])],
    tools,
    maxTokens: options.maxTokens,
    temperature: options.temperature,
    effort: toEffort(options.reasoning),
    tenant,
  };
}

function lastSaid(messages: Message[]): string | undefined {
  const message = messages.findLast(({ role }) => role === 'user');
  return message && textOf(message.content);
}

type Given = AgentBody['context'];

function imageProblems(message: Given['messages'][number], index: number): FieldProblem[] {
  if (typeof message.content === 'string') return [];
  return message.content.flatMap((block, place) => {
    if (block.type !== 'image' || isBase64(block.data)) return [];
    return [{ path: `context.messages[${index}].content[${place}].data`, message: 'is not valid base64' }];
  });
}

/** The providers know three degrees of thinking. */
function toEffort(reasoning: NonNullable<AgentBody['options']>['reasoning']): Effort {
  if (reasoning === 'medium') return 'standard';
  return reasoning === 'high' || reasoning === 'xhigh' ? 'determined' : 'quick';
}
