import { expect, test } from 'vitest';
import { createResolve } from '../../src/outgoing/resolve.ts';

const signal = new AbortController().signal;

/** A name server that answers when it is told to. */
function slowNames() {
  const asked: string[] = [];
  const answers = new Map<string, PromiseWithResolvers<string[]>>();
  const lookUp = (host: string) => {
    asked.push(host);
    const answer = Promise.withResolvers<string[]>();
    answers.set(host, answer);
    return answer.promise;
  };
  return { asked, lookUp, answer: (host: string) => answers.get(host) as PromiseWithResolvers<string[]> };
}

test('two names are looked up at once, the others in turn', async () => {
  const names = slowNames();
  const resolve = createResolve(names.lookUp);
  const found = ['a', 'b', 'c', 'd'].map((host) => resolve(host, signal));
  expect(names.asked).toEqual(['a', 'b']);
  names.answer('b').resolve(['1.1.1.1']);
  expect(await found[1]).toEqual(['1.1.1.1']);
  expect(names.asked).toEqual(['a', 'b', 'c']);
  names.answer('a').reject(new Error('not found'));
  await expect(found[0]).rejects.toThrow('not found');
  expect(names.asked).toEqual(['a', 'b', 'c', 'd']);
  names.answer('c').resolve(['3.3.3.3']);
  names.answer('d').resolve(['4.4.4.4']);
  expect(await Promise.all(found.slice(2))).toEqual([['3.3.3.3'], ['4.4.4.4']]);
  const later = resolve('e', signal);
  names.answer('e').resolve(['5.5.5.5']);
  expect(await later).toEqual(['5.5.5.5']);
});

test('who leaves waits no longer, and who left before the turn came costs no lookup', async () => {
  const names = slowNames();
  const resolve = createResolve(names.lookUp);
  const controller = new AbortController();
  const running = [resolve('a', controller.signal), resolve('b', signal)];
  const waiting = [resolve('c', controller.signal), resolve('d', signal)];
  controller.abort(new Error('left'));
  await expect(running[0]).rejects.toThrow('left');
  await expect(waiting[0]).rejects.toThrow('left');
  // the abandoned lookup keeps its place until it ends
  expect(names.asked).toEqual(['a', 'b']);
  names.answer('a').resolve(['1.1.1.1']);
  names.answer('b').resolve(['2.2.2.2']);
  await running[1];
  await expect.poll(() => names.asked).toEqual(['a', 'b', 'd']);
  names.answer('d').resolve(['4.4.4.4']);
  expect(await waiting[1]).toEqual(['4.4.4.4']);
});
