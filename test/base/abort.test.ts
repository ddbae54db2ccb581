import { describe, expect, test, vi } from 'vitest';
import { linkedController, untilAborted, whenAborted } from '../../src/base/abort.js';
import { rejection } from '../support/scripted-source.js';

describe('whenAborted', () => {
  test('calls every callback once, in order, and those that were removed not at all', () => {
    const controller = new AbortController();
    const calls: number[] = [];
    const remove = [1, 2, 3].map((number) => whenAborted(controller.signal, () => calls.push(number)));
    remove[1]?.();
    controller.abort();
    controller.abort();
    expect(calls).toEqual([1, 3]);
  });

  test('a callback may remove another one', () => {
    const controller = new AbortController();
    const calls: number[] = [];
    let remove = (): void => {};
    whenAborted(controller.signal, () => {
      calls.push(1);
      remove();
    });
    remove = whenAborted(controller.signal, () => calls.push(2));
    controller.abort();
    expect(calls).toEqual([1]);
  });

  test('calls at once if the signal has aborted', () => {
    const callback = vi.fn();
    whenAborted(AbortSignal.abort(), callback)();
    expect(callback).toHaveBeenCalledTimes(1);
  });

  test('adds one listener to a signal, and removes it with the last callback', () => {
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, 'addEventListener');
    const remove = vi.spyOn(signal, 'removeEventListener');
    const callback = () => {};
    const removals = Array.from({ length: 20 }, () => whenAborted(signal, callback));
    expect(add).toHaveBeenCalledTimes(1);
    for (const removal of removals) removal();
    for (const removal of removals) removal();
    expect(remove).toHaveBeenCalledTimes(1);
    whenAborted(signal, callback);
    expect(add).toHaveBeenCalledTimes(2);
  });
});

describe('a linked controller', () => {
  test('aborts with the reason of its signal, until the link ends', () => {
    const outer = new AbortController();
    const linked = linkedController(outer.signal);
    const unlinked = linkedController(outer.signal);
    unlinked.unlink();
    outer.abort('enough');
    expect(linked.controller.signal.reason).toBe('enough');
    expect(unlinked.controller.signal.aborted).toBe(false);
    expect(linkedController(AbortSignal.abort('before')).controller.signal.reason).toBe('before');
    expect(linkedController(undefined).controller.signal.aborted).toBe(false);
  });
});

describe('untilAborted', () => {
  test('settles as the promise does, or rejects with the reason', async () => {
    const controller = new AbortController();
    expect(await untilAborted(Promise.resolve(1), controller.signal)).toBe(1);
    expect(await rejection(untilAborted(Promise.reject(new Error('x')), controller.signal))).toEqual(new Error('x'));
    const waiting = rejection(untilAborted(new Promise(() => {}), controller.signal));
    controller.abort('enough');
    expect(await waiting).toBe('enough');
    expect(await rejection(untilAborted(Promise.resolve(1), controller.signal))).toBe('enough');
  });
});
