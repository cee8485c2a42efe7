import { fraction, name } from './kinds.js';

/** Settings of the models that help the phases. */
export const phaseSettings = {
  plannerModel: {
    env: 'UPEE_PLANNER_MODEL',
    kind: name,
    group: 'phases',
    about:
      'The catalogue model that writes the steps of complex work with determined effort; unless set, no model does.',
  },
  judgeModel: {
    env: 'UPEE_JUDGE_MODEL',
    kind: name,
    group: 'phases',
    about: 'The catalogue model that judges answers of determined effort; unless set, no model does.',
  },
  judgeSample: {
    env: 'UPEE_JUDGE_SAMPLE',
    kind: fraction(0),
    default: '0',
    group: 'phases',
    about: 'The share of the other runs, from 0 to 1, that UPEE_JUDGE_MODEL judges too.',
  },
  contextThreshold: {
    env: 'CONTEXT_THRESHOLD',
    kind: fraction(0.1),
    default: '0.75',
    group: 'phases',
    about: 'The share of the context window, from 0.1 to 1, from which on older messages are summarised.',
  },
} as const;
