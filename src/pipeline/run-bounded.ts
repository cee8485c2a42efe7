import { createContext, Script } from 'node:vm';

type Bounded = { sandbox: { work: unknown }; script: Script };

let bounded: Bounded | undefined;

function create(): Bounded {
  const sandbox = { work: undefined };
  createContext(sandbox);
  return { sandbox, script: new Script('work()') };
}

/**
 * Runs synchronous work that a caller's data may make endless, such as a pattern that backtracks.
 * Returns undefined when it took longer than `timeoutMs` milliseconds of wall time.
 */
export function runBounded<T>(work: () => T, timeoutMs: number): T | undefined {
  bounded ??= create();
  const { sandbox, script } = bounded;
  sandbox.work = work;
  try {
    return script.runInContext(sandbox, { timeout: timeoutMs }) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
    throw error;
  } finally {
    sandbox.work = undefined;
  }
}
