/** Everything that leaves the service, by who gets to read it. */
export type Sink =
  | 'own answers'
  | 'own problems'
  | "others' answers"
  | 'refusals'
  | 'log'
  | 'log at info'
  | 'stderr'
  | 'metrics'
  | 'health'
  | 'catalogue'
  | 'event log'
  | 'event log with texts'
  | 'spans'
  | 'spans with texts'
  | 'process'
  | 'worker log'
  | 'to openai'
  | 'to anthropic'
  | 'to bedrock'
  | 'to endpoint'
  | 'to file host'
  | 'to MCP server'
  | 'to worker'
  | 'to collector';

/** `may`: where it belongs and can be found. `must`: where it has to be found, which shows that somebody looks there. */
type Rule = { may: readonly Sink[]; must?: readonly Sink[] };

const models = ['to openai', 'to anthropic', 'to bedrock', 'to endpoint'] as const;
const withTexts = ['event log with texts', 'spans with texts'] as const;

const nowhere = { may: [] } satisfies Rule;
/** What is said in a conversation: its caller, the models that are asked, and records for which that is opted in. */
const said = { may: ['own answers', ...models, ...withTexts] } satisfies Rule;
/** What tools are told and tell. */
const toolsToo = { may: [...said.may, 'to MCP server', 'to worker'] } satisfies Rule;

/** The places where something private comes in, and the only ones where it may come out. */
export const places = {
  // what the operator keeps
  'key of openai': { may: ['to openai'], must: ['to openai'] },
  'key of anthropic': { may: ['to anthropic'], must: ['to anthropic'] },
  'key of an endpoint': { may: ['to endpoint'], must: ['to endpoint'] },
  'AWS access key id': { may: ['to bedrock'], must: ['to bedrock'] },
  'AWS secret': nowhere,
  'AWS session token': { may: ['to bedrock'], must: ['to bedrock'] },
  'environment of an MCP server': nowhere,
  'environment that an MCP server tells': { ...said, must: ['own answers'] },
  'header of an MCP server': { may: ['to MCP server'], must: ['to MCP server'] },
  'password of Redis': nowhere,
  'JWT secret': nowhere,
  'HMAC secret': nowhere,
  'older HMAC secret': nowhere,
  'metrics token': nowhere,
  'header of the collector': { may: ['to collector'], must: ['to collector'] },
  'answer of a collector': nowhere,
  'password of the proxy': nowhere,
  'query of the JWKS address': nowhere,
  'path of an address of models': nowhere,
  'query of an MCP address': { may: ['to MCP server'], must: ['to MCP server'] },
  'argument of an MCP server': nowhere,
  'other variable': nowhere,

  // how callers show who they are
  'token header': nowhere,
  'token claims': nowhere,
  'token signature': nowhere,
  'expired token': nowhere,
  'token of another secret': nowhere,
  'garbled token': nowhere,
  'token of a socket': nowhere,
  'wrong metrics token': nowhere,
  signature: nowhere,
  'tampered signature': nowhere,
  nonce: nowhere,
  'unknown key id': nowhere,
  'token in a query': nowhere,
  Cookie: nowhere,
  'X-Api-Key': nowhere,
  'Proxy-Authorization': nowhere,
  Referer: nowhere,
  'User-Agent': nowhere,
  baggage: nowhere,
  // the way of W3C Trace Context: whoever is asked gets it too
  tracestate: { may: ['to file host', 'to MCP server', 'to worker', 'spans', 'spans with texts', ...models] },
  'X-Forwarded-For': nowhere,
  'Idempotency-Key': nowhere,
  'wrong header': nowhere,

  // who they are: names in records for operators
  subject: {
    may: ['log', 'log at info', 'event log', 'event log with texts', 'to worker'],
    must: ['log', 'event log'],
  },
  tenant: {
    may: [
      'log',
      'log at info',
      'event log',
      'event log with texts',
      'spans',
      'spans with texts',
      'to worker',
    ],
    must: ['log', 'event log', 'spans'],
  },
  'request id': {
    may: [
      'own answers',
      'own problems',
      'refusals',
      'log',
      'log at info',
      'worker log',
      'to worker',
      ...models,
      'to MCP server',
      'event log',
      ...withTexts,
      'spans',
    ],
    must: [
      'own answers',
      'own problems',
      'log',
      'log at info',
      'worker log',
      'event log',
      'event log with texts',
    ],
  },
  'model name': {
    may: [
      'own answers',
      'own problems',
      'refusals',
      'log',
      'log at info',
      'metrics',
      'health',
      'catalogue',
      "others' answers",
      'event log',
      'spans',
      ...withTexts,
      ...models,
    ],
    must: ['log', 'metrics', 'catalogue', 'spans', 'spans with texts'],
  },

  // what they say
  message: { ...toolsToo, must: ['own answers', 'to openai', ...withTexts] },
  'message of a socket': said,
  'message of a failing run': { ...said, must: ['to openai'] },
  history: { ...said, must: ['to openai'] },
  'system prompt': { ...said, must: ['to openai'] },
  'description of a tool': said,
  thinking: said,
  'file content': { ...said, must: ['to openai'] },
  'file name': { ...said, must: ['to openai'] },
  'metadata of a file': nowhere,
  'broken file': nowhere,
  'name of a broken file': { may: ['own problems'] },
  image: { may: models, must: ['to openai'] },
  'path of a signed address': { may: ['to file host'], must: ['to file host'] },
  'query of a signed address': { may: ['to file host'], must: ['to file host'] },
  'user of a signed address': nowhere,
  'host of a signed address': nowhere,
  'content of a signed address': { ...said, must: ['to openai'] },
  'answer of a file host': nowhere,
  metadata: { may: ['own answers'], must: ['own answers'] },
  schema: { ...said, must: ['to openai'] },
  title: { may: ['own answers'], must: ['own answers'] },
  steering: { ...said, must: ['to openai'] },
  answer: { ...said, must: ['own answers', ...withTexts] },
  reasoning: { ...said, must: ['own answers'] },
  'answer that is cut off': said,
  'answer that is cancelled': said,
  'arguments of a tool': { ...toolsToo, must: ['own answers', 'to MCP server', ...withTexts] },
  'name of an unknown tool': said,
  'result of a tool': { ...said, must: ['own answers', 'to openai', ...withTexts] },
  'progress of a tool': { may: ['own answers'], must: ['own answers'] },
  'failure of a tool': said,
  'error of an MCP server': said,
  'stderr of an MCP server': nowhere,
  'output of an MCP server': nowhere,
  'HTTP error of an MCP server': nowhere,
  'input of a worker': { ...toolsToo, must: ['to worker'] },
  'result of a worker': { ...said, must: ['own answers'] },
  'failure of a worker': said,
  'progress of a worker': { may: ['own answers'], must: ['own answers'] },
  'words of a worker that refuses': said,
  'steps of a planner': { ...said, must: ['to openai'] },
  'summary of a conversation': { ...said, must: ['to openai'] },
  'words of a judge': { ...said, must: ['own answers'] },
  'error of a provider': nowhere,
  'error inside an answer': nowhere,
  'broken piece of an answer': nowhere,
  'error of a list of models': nowhere,

  // what is wrong with requests
  'wrong value': nowhere,
  'unknown field': { may: ['own problems'], must: ['own problems'] },
  'unknown path': { may: ['own problems', 'refusals'] },
  // a socket tells which of its requests it refuses
  'unknown id': { may: ['own problems'] },
  'broken JSON': nowhere,
  'oversize body': nowhere,
  'broken frame': nowhere,
  'wrong query': nowhere,
  'unknown model': nowhere,
  'unknown tool': { may: ['own problems'] },
  'broken request line': nowhere,
  'aborted upload': nowhere,

  'words to a worker': { may: ['to worker'] },
  'wrong setting': nowhere,

  // what the process ends with
  'uncaught error': nowhere,
  'unhandled rejection': nowhere,
} satisfies Record<string, Rule>;

export type Place = keyof typeof places;
