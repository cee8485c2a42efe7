import type { ScriptedReply } from '../../scripts/fake-llm/server.ts';
import type { WallFault } from './faults.ts';
import { type Provider, providers } from './providers.ts';

/** One place of the wall: which fault strikes whom, when, how often, and whether another provider is there. */
export type Cell = {
  fault: WallFault;
  provider: Provider;
  position: 'before' | 'after';
  hasFallback: boolean;
  /** every call of the provider fails, or only the first one that is struck */
  isLasting: boolean;
};

export type Outcome = 'answered' | 'fallback' | 'continued' | 'error';

/** A call that is made: what it is answered, and how its attempt ends. */
export type PlannedCall = {
  provider: Provider;
  /** undefined: it reaches nobody */
  reply: ScriptedReply | undefined;
  outcome: string;
  /** what the call is to go on from; undefined: it is asked the question */
  from: string | undefined;
};

export type Plan = {
  calls: PlannedCall[];
  outcome: Outcome;
  /** the text that must have been shown */
  text: string;
  /** whether some tokens were counted here, since their call broke off */
  isEstimated: boolean;
  error: { error_type: string; retryable: boolean } | undefined;
};

/** With white space where it is cut, characters of several bytes, and no two alike. */
const parts = ['The café ', 'in ', 'Köln 😀', ' opens', ' at', ' nine.\n\n', 'It is', ' quiet.'];
const partsBeforeFault = 2;
const mostCalls = 3;

const toolCalls = ['6*7', '5*5'].map((expression, index) => ({
  id: `call_${index}`,
  name: 'calculator',
  arguments: JSON.stringify({ expression }),
}));

export const fallbackOf: Record<Provider['name'], Provider['name']> = {
  openai: 'anthropic',
  anthropic: 'bedrock',
  bedrock: 'openai',
};

/** What must happen in a cell, from what the service promises. */
export function planOf(cell: Cell): Plan {
  const { fault, provider } = cell;
  const calls: PlannedCall[] = [];
  const fallback = providers[fallbackOf[provider.name]];
  let shown = 0;

  function call(to: Provider, outcome: string, faultyAfter?: number, injected?: string | object): void {
    const { before, start, from } = joint(to);
    const chunks = parts.slice(shown);
    // a model that is prefilled says the white space again that its prefill may not end in
    if (from === start) chunks[0] = before.slice(start.length) + chunks[0];
    const reply = { chunks, ...(injected === undefined ? {} : { fault: injected as string }) };
    calls.push({ provider: to, reply, outcome, from });
    shown = faultyAfter === undefined ? parts.length : shown + faultyAfter;
  }

  function joint(to: Provider) {
    const before = parts.slice(0, shown).join('');
    const start = before.trimEnd();
    return { before, start, from: start === '' ? undefined : to.takesPrefill ? start : before };
  }

  function reachNobody(): void {
    calls.push({ provider, reply: undefined, outcome: fault.outcome, from: joint(provider).from });
  }

  const strike = () => {
    const after = cell.position === 'after' && !fault.isWhole ? partsBeforeFault : 0;
    call(provider, fault.outcome, after, fault.inject(after, provider.name));
  };
  const isLeft = () => calls.length < mostCalls;

  if (cell.position === 'after' && fault.isWhole) {
    const how = fault.class === 'refused' ? 'stall' : 'cut';
    call(provider, 'error', partsBeforeFault, `${how}:${partsBeforeFault}`);
  }
  if (fault.class === 'refused') {
    if (shown > 0 || !cell.hasFallback) reachNobody();
    while (isLeft() && !cell.hasFallback) reachNobody();
    if (cell.hasFallback) call(fallback, 'ok');
    return settle(cell, calls, shown);
  }
  if (fault.class === 'hopeless') {
    const { from } = joint(provider);
    calls.push({ provider, reply: { toolCalls, fault: 'cut:2' }, outcome: fault.outcome, from });
    return settle(cell, calls, shown);
  }
  if (fault.class === 'harmless') {
    call(provider, 'ok', undefined, fault.inject(0, provider.name));
    return settle(cell, calls, shown);
  }
  strike();
  const goesElsewhere = fault.class === 'refusal' || (fault.class === 'elsewhere' && shown > 0);
  const mayRepeat = fault.class !== 'refusal' && !(goesElsewhere && cell.hasFallback);
  if (mayRepeat && !cell.isLasting) call(provider, 'ok');
  if (mayRepeat && cell.isLasting) while (isLeft()) strike();
  if (shown < parts.length && cell.hasFallback) call(fallback, 'ok');
  return settle(cell, calls, shown);
}

function settle(cell: Cell, calls: PlannedCall[], shown: number): Plan {
  const isWhole = shown === parts.length;
  const isContinued = calls.some(({ from }) => from !== undefined);
  const last = calls.at(-1)?.provider;
  const plan: Plan = {
    calls,
    outcome: !isWhole
      ? 'error'
      : isContinued
        ? 'continued'
        : last === cell.provider
          ? 'answered'
          : 'fallback',
    text: parts.slice(0, shown).join(''),
    isEstimated: isContinued || (!isWhole && (shown > 0 || cell.fault.class === 'hopeless')),
    error: isWhole
      ? undefined
      : { error_type: cell.fault.errorType, retryable: cell.fault.class !== 'refusal' || shown > 0 },
  };
  if (cell.fault.name === 'duplicate delta') return withDuplicate(plan);
  return cell.fault.name.includes('tool index') ? withTools(plan) : plan;
}

/** The answer asks for two tools, and what follows them is a turn of its own. */
function withTools(plan: Plan): Plan {
  const call = plan.calls.at(-1) as PlannedCall;
  const followUp = { ...call, reply: { text: 'That makes 42 and 25.' }, from: undefined };
  return {
    ...plan,
    calls: [...plan.calls.slice(0, -1), { ...call, reply: { ...call.reply, toolCalls } }, followUp],
    text: `${plan.text}\n\nThat makes 42 and 25.`,
  };
}

/** The second delta of the last call comes twice. */
function withDuplicate(plan: Plan): Plan {
  const twice = plan.calls.at(-1)?.reply?.chunks?.[1] ?? '';
  return { ...plan, text: plan.text.replace(twice, twice + twice) };
}
