import { describe, expect, test } from 'vitest';
import { BlockGuard, type Claim } from '../../src/image/block-guard.js';

const BLOCK = 1000;

/** Claims a range and notes its name when it may run. */
function start(guard: BlockGuard, log: string[], name: string, from: number, to: number): Promise<Claim> {
  return guard.claim(from, to).then((claim) => {
    log.push(name);
    return claim;
  });
}

const settle = () => new Promise<void>((resolve) => setTimeout(resolve));

describe('operations on a disk', () => {
  test('run together if they touch different bytes', async () => {
    const guard = new BlockGuard(BLOCK);
    const log: string[] = [];
    await Promise.all([start(guard, log, 'a', 0, 10), start(guard, log, 'b', 10, 20)]);
    expect(log).toEqual(['a', 'b']);
  });

  test('that overlap run in the order in which they came', async () => {
    const guard = new BlockGuard(BLOCK);
    const log: string[] = [];
    const a = await start(guard, log, 'a', 0, 10);
    const b = start(guard, log, 'b', 5, 15);
    const c = start(guard, log, 'c', 12, 20); // overlaps only b, which waits
    await settle();
    expect(log).toEqual(['a']);
    guard.release(a);
    guard.release(await b);
    await c;
    expect(log).toEqual(['a', 'b', 'c']);
  });

  test('that want whole blocks wait for those in the block, and keep others out', async () => {
    const guard = new BlockGuard(BLOCK);
    const log: string[] = [];
    const a = await start(guard, log, 'a', 0, 10);
    const b = await start(guard, log, 'b', 500, 510);
    const whole = guard.claimBlocks(b).then(() => log.push('whole block'));
    const c = start(guard, log, 'c', 900, 910);
    const other = start(guard, log, 'another block', 1000, 1010);
    await other;
    expect(log).toEqual(['a', 'b', 'another block']);
    guard.release(a);
    await whole;
    await settle();
    expect(log).toEqual(['a', 'b', 'another block', 'whole block']);
    guard.release(b);
    await c;
    expect(log.at(-1)).toBe('c');
  });

  test('of which two want the same block go one after the other', async () => {
    const guard = new BlockGuard(BLOCK);
    const log: string[] = [];
    const a = await start(guard, log, 'a', 0, 10);
    const b = await start(guard, log, 'b', 500, 510);
    const second = guard.claimBlocks(b).then(() => log.push('b has the block'));
    const first = guard.claimBlocks(a).then(() => log.push('a has the block'));
    await first;
    expect(log).toEqual(['a', 'b', 'a has the block']);
    guard.release(a);
    await second;
    expect(log.at(-1)).toBe('b has the block');
  });

  test('that are aborted while they wait make room for the next', async () => {
    const guard = new BlockGuard(BLOCK);
    const log: string[] = [];
    const a = await start(guard, log, 'a', 0, 10);
    const abort = new AbortController();
    const b = guard.claim(5, 25, abort.signal);
    const c = start(guard, log, 'c', 20, 30);
    abort.abort(new Error('enough'));
    await expect(b).rejects.toThrow('enough');
    await c;
    expect(log).toEqual(['a', 'c']);
    guard.release(a);
  });

  test('are released once', async () => {
    const guard = new BlockGuard(BLOCK);
    const claim = await guard.claim(0, 1);
    guard.release(claim);
    expect(() => guard.release(claim)).toThrow('twice');
  });

  test('claims at once what nothing overlaps, and says when nothing is claimed any more', async () => {
    const guard = new BlockGuard(16);
    const first = await guard.claim(0, 10);
    const waiting = guard.claim(5, 20);
    expect(guard.claimFree(9, 10)).toBeUndefined();
    expect(guard.claimFree(15, 30), 'of something that waits').toBeUndefined();
    const free = guard.claimFree(20, 30);
    expect(free).toBeDefined();
    let isEmpty = false;
    const empty = guard.empty().then(() => {
      isEmpty = true;
    });
    guard.release(first);
    guard.release(await waiting);
    expect(isEmpty).toBe(false);
    guard.release(free as Claim);
    await empty;
    await guard.empty();
  });
});
