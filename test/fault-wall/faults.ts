/**
 * How a fault is answered. `refusal`: not asked again, another provider may be. `elsewhere`: asked again before the first
 * token; afterwards another provider goes on where there is one. `connection`: the same provider is asked again.
 * `refused`: nobody listens, which is known before anybody asks. `hopeless`: nobody can go on. `harmless`: no fault to the
 * reader.
 */
export type FaultClass = 'refusal' | 'elsewhere' | 'connection' | 'refused' | 'hopeless' | 'harmless';

export type WallFault = {
  name: string;
  class: FaultClass;
  /** as the fake servers know it; `after` is how many deltas come first */
  inject(after: number, provider: string): string | object;
  /** it strikes a whole answer: once tokens are to come first, it strikes the call that continues them */
  isWhole: boolean;
  /** the attempt's outcome and the run's error */
  outcome: 'error' | 'timeout' | 'rejected' | 'unavailable';
  errorType: 'provider_error' | 'provider_timeout' | 'provider_rejected' | 'provider_unavailable';
};

const whole = (name: string, fault = name) => ({ name, inject: () => fault, isWhole: true });
const within = (name: string) => ({ name, inject: (after: number) => `${name}:${after}`, isWhole: false });
const error = { outcome: 'error', errorType: 'provider_error' } as const;
const timeout = { outcome: 'timeout', errorType: 'provider_timeout' } as const;
const rejected = { outcome: 'rejected', errorType: 'provider_rejected' } as const;
const unavailable = { outcome: 'unavailable', errorType: 'provider_unavailable' } as const;

export const faults: WallFault[] = [
  { ...whole('400', 'status:400'), class: 'refusal', ...rejected },
  { ...whole('401', 'status:401'), class: 'refusal', ...unavailable },
  { ...whole('429, Retry-After', 'status:429:0.15'), class: 'elsewhere', ...unavailable },
  { ...whole('500', 'status:500'), class: 'elsewhere', ...error },
  {
    name: 'overloaded (529, 503)',
    inject: (_after, provider) => (provider === 'anthropic' ? 'status:529' : 'status:503'),
    isWhole: true,
    class: 'elsewhere',
    ...unavailable,
  },
  // the server is there for the first tokens only, or not at all
  { ...whole('connection refused', 'stall:2'), class: 'refused', ...unavailable },
  { ...whole('connection reset', 'reset'), class: 'elsewhere', ...unavailable },
  { ...whole('no answer', 'hang'), class: 'connection', ...timeout },
  { ...within('stall'), class: 'connection', ...timeout },
  { ...within('cut'), class: 'connection', ...error },
  { ...within('malformed'), name: 'malformed chunk', class: 'connection', ...error },
  { ...within('end'), name: 'no finish reason', class: 'connection', ...error },
  {
    name: 'end mark, no finish reason',
    inject: (after) => `end:${after}:done`,
    isWhole: false,
    class: 'connection',
    ...error,
  },
  { ...within('error'), name: 'error in the stream', class: 'connection', ...error },
  {
    name: 'overloaded in the stream',
    inject: (after, provider) => ({ type: 'error', after, body: overloaded[provider] }),
    isWhole: false,
    class: 'elsewhere',
    ...unavailable,
  },
  { ...whole('tool call cut', 'tool call'), class: 'hopeless', ...error },
  // nothing tells a delta that is sent twice from a word that is said twice
  { ...whole('duplicate delta', 'duplicate:1'), class: 'harmless', ...error },
  { ...whole('empty deltas', 'empty-deltas'), class: 'harmless', ...error },
  { ...whole('wrong tool indexes', 'tool-index:wrong'), class: 'harmless', ...error },
  { ...whole('missing tool indexes', 'tool-index:missing'), class: 'harmless', ...error },
  { ...whole('same tool index', 'tool-index:duplicate'), class: 'harmless', ...error },
  { ...whole('pings', 'pings'), class: 'harmless', ...error },
  { ...whole('1-byte writes', 'one-byte'), class: 'harmless', ...error },
  { ...whole('UTF-8 split', 'split-utf8'), class: 'harmless', ...error },
];

const overloaded: Record<string, object> = {
  openai: { error: { message: 'Overloaded.', type: 'overloaded_error', code: null } },
  anthropic: { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
  bedrock: { exception: 'serviceUnavailableException', message: 'Overloaded.' },
};
