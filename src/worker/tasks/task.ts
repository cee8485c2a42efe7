import type { TSchema } from 'typebox';

/** What a task tells on its way. */
export type TaskStep =
  | { type: 'progress'; fraction: number; message: string }
  | { type: 'partial'; output: Record<string, unknown> };

export type TaskWork = AsyncGenerator<TaskStep, Record<string, unknown>, void>;

/** What is known of a task type without its code. */
export type TaskType = {
  name: string;
  version: string;
  /** for a model that decides whether to use it */
  description: string;
  /** of the payload */
  schema: TSchema;
};

/** The task makes no sense for its input; the message is for the caller. */
export class TaskRefusal extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'TaskRefusal';
  }
}

export const progress = (fraction: number, message: string): TaskStep => ({
  type: 'progress',
  fraction,
  message,
});
