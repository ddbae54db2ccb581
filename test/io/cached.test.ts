import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CachedSource, type CacheOptions } from '../../src/io/cached.js';
import { propertyRuns } from '../support/property-runs.js';
import { hasSettled, rejection, ScriptedSource, sourceBytes, turn, wrongAt } from '../support/scripted-source.js';

const KiB = 1024;
const MiB = 1024 * KiB;
const BLOCK = 64 * KiB;
const OPTIONS: CacheOptions = { cacheSize: 4 * MiB, loads: 4, direct: 2 * MiB, readAhead: 1 * MiB };

function cached(size: number, options: Partial<CacheOptions> = {}, manual = false) {
  const source = new ScriptedSource(size, { manual });
  return { source, cache: new CachedSource(source, { ...OPTIONS, ...options }) };
}

async function read(cache: CachedSource, offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array> {
  const target = new Uint8Array(length);
  await cache.readInto(target, offset, { signal });
  return target;
}

/** One read of the random test. */
interface Step {
  readonly offset: number;
  readonly length: number;
  readonly abort: 'no' | 'at once' | 'soon';
  /** Whether others may run before the next read begins. */
  readonly wait: boolean;
  /** How many loads are answered before the next read, the latest first. */
  readonly answers: number;
}

const stepOf = (size: number): fc.Arbitrary<Step> =>
  fc.record({
    offset: fc.integer({ min: 0, max: size }),
    length: fc.oneof(fc.integer({ min: 0, max: BLOCK }), fc.integer({ min: 0, max: 12 * BLOCK })),
    abort: fc.constantFrom('no', 'no', 'at once', 'soon'),
    wait: fc.boolean(),
    answers: fc.integer({ min: 1, max: 3 }),
  });

/** Reads, perhaps gives up, and checks what came of it. */
async function readStep(cache: CachedSource, { offset, length, abort }: Step): Promise<void> {
  const target = new Uint8Array(Math.min(length, cache.size - offset));
  const controller = new AbortController();
  const reading = cache.readInto(target, offset, { signal: controller.signal });
  if (abort === 'at once') controller.abort('enough');
  if (abort === 'soon') queueMicrotask(() => controller.abort('enough'));
  try {
    await reading;
  } catch (error) {
    expect(error).toBe('enough');
    target.fill(0xee);
    await turn();
    expect(target.every((byte) => byte === 0xee)).toBe(true);
    return;
  }
  expect(wrongAt(target, offset)).toBe(-1);
}

describe('what is read', () => {
  test('a small read loads the whole block around it, and the next one there loads nothing', async () => {
    const { source, cache } = cached(10 * MiB);
    expect(wrongAt(await read(cache, 100_000, 512), 100_000)).toBe(-1);
    expect(wrongAt(await read(cache, 70_000, 4096), 70_000)).toBe(-1);
    expect(source.ranges).toEqual([[BLOCK, BLOCK]]);
  });

  test('missing blocks that are neighbours come with one read, and only they', async () => {
    const { source, cache } = cached(10 * MiB);
    await read(cache, 20 * BLOCK, 10);
    expect(wrongAt(await read(cache, 17 * BLOCK + 5, 6 * BLOCK), 17 * BLOCK + 5)).toBe(-1);
    expect(source.ranges.slice(1)).toEqual([
      [17 * BLOCK, 3 * BLOCK],
      [21 * BLOCK, 3 * BLOCK],
    ]);
  });

  test('the last block is as short as the source says', async () => {
    const size = 3 * BLOCK + 1000;
    const { source, cache } = cached(size);
    expect(wrongAt(await read(cache, size - 10, 10), size - 10)).toBe(-1);
    expect(source.ranges).toEqual([[3 * BLOCK, 1000]]);
  });

  test('a range that leaves the source is a RangeError and reaches nothing', async () => {
    const { source, cache } = cached(BLOCK);
    for (const [offset, length] of [
      [BLOCK, 1],
      [-1, 1],
      [0.5, 1],
      [Number.NaN, 0],
      [2 ** 53, 1],
    ] as const) {
      expect(await rejection(read(cache, offset, length))).toBeInstanceOf(RangeError);
    }
    expect(source.calls).toEqual([]);
    expect(await read(cache, BLOCK, 0)).toEqual(new Uint8Array(0));
  });

  test('a view on WebAssembly memory is filled in place', async () => {
    const { cache } = cached(4 * MiB);
    const memory = new WebAssembly.Memory({ initial: 64 });
    const target = new Uint8Array(memory.buffer, 1000, 2.5 * MiB);
    await cache.readInto(target, 77);
    expect(target.buffer).toBe(memory.buffer);
    expect(wrongAt(target, 77)).toBe(-1);
  });

  test('any reads at any time, some aborted, bring the right bytes or the reason', async () => {
    const size = 40 * BLOCK + 77;
    const run = async (steps: readonly Step[]): Promise<void> => {
      const { source, cache } = cached(size, { cacheSize: 8 * BLOCK, loads: 2, direct: 6 * BLOCK }, true);
      const results: Promise<void>[] = [];
      for (const step of steps) {
        results.push(readStep(cache, step));
        if (step.wait) await turn();
        for (const call of source.calls.splice(-step.answers, step.answers)) call.answer();
      }
      const all = Promise.all(results);
      while (!(await hasSettled(all))) for (const call of source.calls.splice(0)) call.answer();
      await all;
    };
    await fc.assert(fc.asyncProperty(fc.array(stepOf(size), { maxLength: 12 }), run), propertyRuns(60));
  });
});

describe('sharing and giving up', () => {
  test('reads of one block share its load', async () => {
    const { source, cache } = cached(MiB, {}, true);
    const reads = [read(cache, 0, 10), read(cache, 500, 10), read(cache, 60_000, 100)];
    await turn();
    expect(source.calls.length).toBe(1);
    source.call(0).answer();
    expect(await Promise.all(reads)).toEqual([sourceBytes(0, 10), sourceBytes(500, 10), sourceBytes(60_000, 100)]);
  });

  test('one that is aborted rejects at once with the reason, and the others get their bytes', async () => {
    const { source, cache } = cached(MiB, {}, true);
    const controller = new AbortController();
    const first = read(cache, 0, 10, controller.signal);
    const second = read(cache, 10, 10);
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await rejection(first)).toBe(reason);
    expect(source.call(0).signal?.aborted).toBe(false);
    source.call(0).answer();
    expect(await second).toEqual(sourceBytes(10, 10));
  });

  test('a load that nobody waits for any more is stopped, and the next read begins anew', async () => {
    const { source, cache } = cached(MiB, {}, true);
    const controllers = [new AbortController(), new AbortController()];
    const reads = controllers.map(({ signal }) => rejection(read(cache, 0, 10, signal)));
    controllers[0]?.abort('a');
    await turn();
    expect(source.call(0).signal?.aborted).toBe(false);
    controllers[1]?.abort('b');
    expect(await Promise.all(reads)).toEqual(['a', 'b']);
    expect(source.call(0).signal?.aborted).toBe(true);

    const anew = read(cache, 0, 10);
    source.call(0).fail('b');
    await turn();
    expect(source.calls.length).toBe(2);
    source.call(1).answer();
    expect(await anew).toEqual(sourceBytes(0, 10));
  });

  test('a signal that has aborted already stops the read before it begins', async () => {
    const { source, cache } = cached(MiB);
    expect(await rejection(read(cache, 0, 10, AbortSignal.abort('before')))).toBe('before');
    expect(source.calls).toEqual([]);
  });

  test('a failed load fails all who wait for it and is forgotten', async () => {
    const { source, cache } = cached(MiB, {}, true);
    const reads = [rejection(read(cache, 0, 10)), rejection(read(cache, 10, 10))];
    await turn();
    source.call(0).fail('broken');
    expect(await Promise.all(reads)).toEqual(['broken', 'broken']);
    source.manual = false;
    expect(wrongAt(await read(cache, 0, 10), 0)).toBe(-1);
    expect(source.calls.length).toBe(2);
  });

  test('after a read was aborted, its target belongs to its owner again', async () => {
    const { source, cache } = cached(MiB, {}, true);
    const controller = new AbortController();
    const target = new Uint8Array(3 * BLOCK);
    const reading = cache.readInto(target, 0, { signal: controller.signal });
    const other = read(cache, BLOCK, 1); // keeps the load going
    controller.abort('enough');
    await rejection(reading);
    target.fill(0xee);
    source.call(0).answer();
    await other;
    await turn();
    expect(target.every((byte) => byte === 0xee)).toBe(true);
  });

  test('a long read that goes straight into its target ends only when the source has', async () => {
    const { source, cache } = cached(8 * MiB, {}, true);
    const controller = new AbortController();
    const target = new Uint8Array(2 * MiB);
    const reading = rejection(cache.readInto(target, 0, { signal: controller.signal }));
    controller.abort('enough');
    expect(source.call(0).signal?.aborted).toBe(true);
    expect(await hasSettled(reading)).toBe(false);
    source.call(0).fail('enough');
    expect(await reading).toBe('enough');
  });

  test('when one part of a read fails, the read rejects once no other part writes any more', async () => {
    const { source, cache } = cached(8 * MiB, {}, true);
    const target = new Uint8Array(4 * MiB);
    const middle = read(cache, 2 * MiB, 1);
    await turn();
    const reading = rejection(cache.readInto(target, 0));
    await turn();
    expect(source.ranges).toEqual([
      [2 * MiB, BLOCK],
      [2 * MiB + BLOCK, MiB],
      [3 * MiB + BLOCK, MiB - BLOCK],
      [0, 2 * MiB],
    ]);
    source.call(2).fail('broken');
    expect(source.call(3).signal?.aborted).toBe(false);
    expect(await hasSettled(reading)).toBe(false);
    expect(source.call(3).signal?.aborted).toBe(true);
    source.call(3).fail('stopped');
    expect(await reading).toBe('broken');
    source.call(0).answer();
    await middle;
  });

  test('closing stops what is on its way, closes the source once, and refuses reads', async () => {
    const { source, cache } = cached(MiB, {}, true);
    const reading = rejection(read(cache, 0, 10));
    await turn();
    await cache.close();
    await cache.close();
    expect(source.closed).toBe(1);
    expect(source.call(0).signal?.aborted).toBe(true);
    source.call(0).fail(source.call(0).signal?.reason);
    expect(await reading).toMatchObject({ code: 'closed' });
    expect(await rejection(read(cache, 0, 10))).toMatchObject({ code: 'closed' });
  });
});

describe('bounds', () => {
  test('what was not used for longest goes first', async () => {
    const { source, cache } = cached(10 * MiB, { cacheSize: 4 * BLOCK, readAhead: 0 });
    for (const block of [0, 10, 20, 30]) await read(cache, block * BLOCK, 1);
    await read(cache, 0, 1); // used again
    await read(cache, 40 * BLOCK, 1); // takes the place of block 10
    source.calls.length = 0;
    for (const block of [0, 20, 30, 40]) await read(cache, block * BLOCK, 1);
    expect(source.ranges).toEqual([]);
    await read(cache, 10 * BLOCK, 1);
    expect(source.ranges).toEqual([[10 * BLOCK, BLOCK]]);
  });

  test('failed loads take no room', async () => {
    const { source, cache } = cached(10 * MiB, { cacheSize: 4 * BLOCK, readAhead: 0 }, true);
    for (let block = 0; block < 10; block++) {
      const reading = rejection(read(cache, 3 * block * BLOCK, 1));
      source.call(block).fail('broken');
      await reading;
    }
    source.manual = false;
    for (const block of [0, 10, 20, 30]) await read(cache, block * BLOCK, 1);
    source.calls.length = 0;
    for (const block of [0, 10, 20, 30]) await read(cache, block * BLOCK, 1);
    expect(source.ranges).toEqual([]);
  });

  test('however many reads there are, only so many loads run, and they fit into the cache', async () => {
    const { source, cache } = cached(64 * MiB, { cacheSize: 4 * MiB, loads: 4, readAhead: 0 });
    const offsets = Array.from({ length: 40 }, (_, index) => ((index * 17) % 40) * 1.5 * MiB);
    const results = await Promise.all(offsets.map((offset) => read(cache, offset, 1.25 * MiB)));
    for (const [index, bytes] of results.entries()) {
      expect(wrongAt(bytes, offsets[index] ?? -1)).toBe(-1);
    }
    expect(source.mostCalls).toBe(4);
    expect(source.mostInFlight).toBeLessThanOrEqual(4 * MiB);
  });

  test('a long read passes the cache by: straight into the target, and nothing is thrown out for it', async () => {
    const { source, cache } = cached(64 * MiB);
    await read(cache, 0, 1);
    const target = new Uint8Array(32 * MiB);
    await cache.readInto(target, 16 * MiB + 3);
    expect(source.ranges[1]).toEqual([16 * MiB + 3, 32 * MiB]);
    expect(source.call(1).target.buffer).toBe(target.buffer);
    expect(wrongAt(target, 16 * MiB + 3)).toBe(-1);
    source.calls.length = 0;
    await read(cache, 0, 1);
    expect(source.ranges).toEqual([]);
  });

  test('a long read takes from the cache what is there', async () => {
    const { source, cache } = cached(64 * MiB);
    await read(cache, 5 * MiB, 1);
    source.calls.length = 0;
    expect(wrongAt(await read(cache, 2 * MiB, 8 * MiB), 2 * MiB)).toBe(-1);
    expect(source.ranges).toEqual([
      [2 * MiB, 3 * MiB],
      [5 * MiB + BLOCK, 5 * MiB - BLOCK],
    ]);
  });

  test('bytes that came by another way are used; a block that they cover in part is not', async () => {
    const { source, cache } = cached(10 * BLOCK + 5);
    cache.put(0, sourceBytes(0, 2 * BLOCK + 100));
    cache.put(10 * BLOCK, sourceBytes(10 * BLOCK, 5));
    expect(wrongAt(await read(cache, 10, 2 * BLOCK - 10), 10)).toBe(-1);
    expect(wrongAt(await read(cache, 10 * BLOCK, 5), 10 * BLOCK)).toBe(-1);
    expect(source.ranges).toEqual([]);
    await read(cache, 2 * BLOCK, 1);
    expect(source.ranges[0]?.[0]).toBe(2 * BLOCK);
  });
});

describe('reading in sequence', () => {
  test('takes few, ever longer loads, none twice, and none further ahead than was read', async () => {
    const { source, cache } = cached(16 * MiB);
    for (let offset = 0; offset < source.size; offset += 16 * KiB) {
      expect(wrongAt(await read(cache, offset, 16 * KiB), offset)).toBe(-1);
      const loaded = source.calls.reduce((most, call) => Math.max(most, call.offset + call.length), 0);
      const read_ = offset + 16 * KiB;
      expect(loaded).toBeLessThanOrEqual(Math.ceil((read_ + Math.min(read_, MiB)) / BLOCK) * BLOCK);
    }
    expect(source.calls.reduce((sum, { length }) => sum + length, 0)).toBe(16 * MiB);
    expect(source.calls.length).toBeLessThan(40); // 256 blocks
  });

  test('has what comes next on its way before it is asked for', async () => {
    const { source, cache } = cached(16 * MiB);
    for (let offset = 0; offset < 4 * MiB; offset += 256 * KiB) await read(cache, offset, 256 * KiB);
    source.manual = true;
    source.calls.length = 0;
    // At least half a MiB is there already.
    await read(cache, 4 * MiB, 256 * KiB);
    await read(cache, 4.25 * MiB, 256 * KiB);
    expect(source.calls.length).toBeGreaterThan(0);
    for (const { offset } of source.calls) expect(offset).toBeGreaterThanOrEqual(4.5 * MiB);
  });

  test('tells the source how far it may bet on', async () => {
    const { source, cache } = cached(64 * MiB);
    await read(cache, 0, 4 * MiB);
    await read(cache, 4 * MiB, 4 * MiB);
    await read(cache, 8 * MiB, 4 * MiB);
    expect(source.calls.map(({ ahead }) => ahead)).toEqual([0, 8 * MiB, 12 * MiB]);
  });

  test('may go on at several places in turn', async () => {
    const { source, cache } = cached(64 * MiB, { cacheSize: 8 * MiB });
    for (let step = 0; step < 64; step++) {
      for (const start of [0, 20 * MiB, 40 * MiB]) {
        const offset = start + step * BLOCK;
        expect(wrongAt(await read(cache, offset, BLOCK), offset)).toBe(-1);
      }
    }
    // 4 MiB at each place, and the last read-ahead.
    expect(source.calls.length).toBeLessThan(60); // 192 blocks
    expect(source.calls.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(15 * MiB);
  });

  test('a failed load ahead harms nobody', async () => {
    const { source, cache } = cached(16 * MiB);
    for (let offset = 0; offset < MiB; offset += BLOCK) await read(cache, offset, BLOCK);
    source.manual = true;
    source.calls.length = 0;
    let offset = MiB;
    for (; source.calls.length === 0; offset += BLOCK) await read(cache, offset, BLOCK);
    const [ahead] = source.calls;
    ahead?.fail('unlucky');
    await turn();
    source.manual = false;
    for (; offset < 4 * MiB; offset += BLOCK) expect(wrongAt(await read(cache, offset, BLOCK), offset)).toBe(-1);
  });

  test('reads here and there load nothing but their blocks', async () => {
    const { source, cache } = cached(64 * MiB);
    for (let index = 0; index < 100; index++) await read(cache, ((index * 389) % 1000) * BLOCK + 5, 4096);
    expect(source.calls.reduce((sum, { length }) => sum + length, 0)).toBe(100 * BLOCK);
  });
});
