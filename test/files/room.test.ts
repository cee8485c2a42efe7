import { expect, test } from 'vitest';
import { createFileRoom } from '../../src/files/room.ts';
import { never } from './reader.ts';

const overloaded = expect.objectContaining({ type: 'overloaded', retryable: true });

test('who finds no room waits in turn, and is let in when enough was given back', async () => {
  const room = createFileRoom(100);
  const first = await room.take(60, never);
  const order: string[] = [];
  const large = room.take(50, never).then((share) => {
    order.push('large');
    return share;
  });
  const small = room.take(10, never).then((share) => {
    order.push('small');
    return share;
  });
  first.settle(50);
  await large;
  expect(order).toEqual(['large']);
  first.release();
  first.release();
  await small;
  expect(order).toEqual(['large', 'small']);
  const rest = await room.take(40, never);
  expect(() => rest.grow(1)).toThrow(overloaded);
});

test('a share that turns out larger than the room keeps others out until it ends', async () => {
  const room = createFileRoom(100);
  const share = await room.take(0, never);
  share.grow(100);
  expect(() => share.grow(1)).toThrow(overloaded);
  share.settle(150);
  let isIn = false;
  const next = room.take(0, never).then(() => {
    isIn = true;
  });
  share.settle(100);
  await Promise.resolve();
  expect(isIn).toBe(false);
  share.settle(99);
  await next;
});

test('what can never fit is refused, and who leaves the queue lets in those behind', async () => {
  const room = createFileRoom(100);
  await expect(room.take(101, never)).rejects.toThrow(overloaded);
  await room.take(60, never);
  const controller = new AbortController();
  const leaving = room.take(50, controller.signal);
  const behind = room.take(40, never);
  const reason = new Error('cancelled');
  controller.abort(reason);
  await expect(leaving).rejects.toBe(reason);
  await behind;
});

test('who leaves at the moment it is let in holds nothing', async () => {
  const room = createFileRoom(100);
  const first = await room.take(100, never);
  const controller = new AbortController();
  const leaving = room.take(100, controller.signal);
  controller.abort(new Error('cancelled'));
  first.release();
  await expect(leaving).rejects.toThrow('cancelled');
  await room.take(100, never);
});
