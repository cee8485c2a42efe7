import { boolean, path } from './kinds.js';

/** Settings of what operators see of the service. */
export const observabilitySettings = {
  isMetricsEnabled: {
    env: 'ENABLE_METRICS',
    kind: boolean,
    default: 'true',
    group: 'observability',
    about: 'Serves Prometheus metrics at /metrics.',
  },
  isDocsEnabled: {
    env: 'DOCS_ENABLED',
    kind: boolean,
    default: 'true',
    group: 'observability',
    about: 'Serves the API page at /docs and the document at /openapi.json.',
  },
  eventLogFile: {
    env: 'EVENT_LOG',
    kind: path,
    group: 'observability',
    about:
      'A file that keeps an audit trail of every run: SQLite when its name ends in .db or .sqlite, else JSON lines.',
  },
  isContentCaptured: {
    env: 'CAPTURE_CONTENT',
    kind: boolean,
    default: 'false',
    group: 'observability',
    about:
      'true: EVENT_LOG holds texts too, the first 64 KiB of each, and not only how long they are, and spans the ' +
      'first 16 KiB of what models and tools are told and say.',
  },
} as const;
