import { Type } from 'typebox';
import { phases } from '../../core/events.js';
import { runStatuses } from '../../runs/run.js';
import { ref } from './common.js';

export const RunParams = Type.Object({ id: Type.String({ description: 'The id of the run' }) });

export const ResumeQuery = Type.Object({
  after: Type.Optional(
    Type.String({
      description: 'Number of the last event that was seen; 0 = from the start. The header wins.',
    }),
  ),
});

export const ResumeHeaders = Type.Object({
  'last-event-id': Type.Optional(Type.String({ description: 'Number of the last event that was seen' })),
});

const EpochSeconds = Type.Number({ description: 'Epoch seconds' });

export const RunRecord = Type.Object(
  {
    run_id: Type.String(),
    status: Type.Enum([...runStatuses]),
    usage: ref('Usage'),
    phases: Type.Array(
      Type.Object({
        phase: Type.Enum([...phases]),
        content: Type.String(),
        metadata: Type.Record(Type.String(), Type.Unknown()),
        duration_ms: Type.Number(),
      }),
    ),
    attempts: Type.Array(ref('Attempt')),
    created_at: EpochSeconds,
    ended_at: Type.Union([EpochSeconds, Type.Null()]),
    metadata: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { $id: 'Run' },
);
