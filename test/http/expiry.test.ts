import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { callAt } from '../../src/http/expiry.ts';

const longestTimerMs = 2 ** 31 - 1;
const yearMs = 365 * 24 * 3600 * 1000;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test.each([0, 1000, longestTimerMs, longestTimerMs + 1, yearMs])(
  'calls after %d ms, once and not before',
  (ms) => {
    const action = vi.fn();
    callAt(Date.now() + ms, action);
    vi.advanceTimersByTime(Math.max(0, ms - 1));
    expect(action).toHaveBeenCalledTimes(ms === 0 ? 1 : 0);
    vi.advanceTimersByTime(1);
    expect(action).toHaveBeenCalledOnce();
    vi.advanceTimersByTime(yearMs);
    expect(action).toHaveBeenCalledOnce();
    expect(vi.getTimerCount()).toBe(0);
  },
);

test('calls at once for what is past', () => {
  const action = vi.fn();
  callAt(Date.now() - yearMs, action);
  vi.advanceTimersByTime(0);
  expect(action).toHaveBeenCalledOnce();
});

test.each([undefined, 1e300])('has no end for %s', (atMs) => {
  const action = vi.fn();
  const callOff = callAt(atMs, action);
  vi.advanceTimersByTime(longestTimerMs + 1);
  callOff();
  expect(action).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
});

test('leaves no timer behind once it is called off, nor one that keeps a process alive', () => {
  const action = vi.fn();
  const set = vi.spyOn(globalThis, 'setTimeout');
  const callOff = callAt(Date.now() + yearMs, action);
  vi.advanceTimersByTime(longestTimerMs);
  for (const { value } of set.mock.results) expect((value as NodeJS.Timeout).hasRef()).toBe(false);
  callOff();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(yearMs);
  expect(action).not.toHaveBeenCalled();
});
