import { describe, expect, it } from 'vitest';
import { BufferPool } from '../../src/core/buffers.js';

const ADDRESS = 64;
const pool = (): BufferPool => new BufferPool(new Uint8Array(1024), ADDRESS, 4, 128);

/** Whether a promise is settled once everything that can run has run. */
async function isWaiting(promise: Promise<unknown>): Promise<boolean> {
  const waiting = Symbol('waiting');
  await new Promise((resolve) => setTimeout(resolve, 0));
  return (await Promise.race([promise, Promise.resolve(waiting)])) === waiting;
}

describe('the pool of buffers', () => {
  it('lends buffers that lie side by side in the memory', async () => {
    const memory = new Uint8Array(1024);
    const buffers = await new BufferPool(memory, ADDRESS, 4, 128).acquire(4);
    expect(buffers.map(({ address }) => address)).toEqual([64, 192, 320, 448]);
    for (const { address, bytes } of buffers) {
      expect(bytes).toHaveLength(128);
      bytes[0] = 1;
      expect(memory[address]).toBe(1);
    }
  });

  it('lends one unless asked for more', async () => {
    expect(await pool().acquire()).toHaveLength(1);
  });

  it('lets wait who asks for more than is free, and gives him all at once', async () => {
    const buffers = pool();
    const first = await buffers.acquire(3);
    const second = buffers.acquire(2);
    expect(await isWaiting(second)).toBe(true);
    buffers.release(first.slice(0, 1));
    expect(await second).toHaveLength(2);
  });

  it('serves in the order of asking: the small does not overtake the large', async () => {
    const buffers = pool();
    const held = await buffers.acquire(3);
    const order: string[] = [];
    const large = buffers.acquire(4).then((lent) => {
      order.push('large');
      buffers.release(lent);
    });
    const small = buffers.acquire(1).then(() => order.push('small'));
    expect(await isWaiting(small)).toBe(true);
    buffers.release(held);
    await Promise.all([large, small]);
    expect(order).toEqual(['large', 'small']);
  });

  it('does not let two who need several each block the other', async () => {
    const buffers = pool();
    const use = async (): Promise<void> => {
      for (let turn = 0; turn < 20; turn++) {
        const lent = await buffers.acquire(3);
        await new Promise((resolve) => setTimeout(resolve, 0));
        buffers.release(lent);
      }
    };
    await Promise.all([use(), use(), use()]);
    expect(await buffers.acquire(4)).toHaveLength(4);
  });

  it('lends more at once if they are free and nobody waits, and nothing otherwise', async () => {
    const buffers = pool();
    await buffers.acquire(1);
    expect(buffers.tryAcquire(4)).toBeUndefined();
    const extra = buffers.tryAcquire(2) ?? [];
    expect(extra).toHaveLength(2);
    const waiting = buffers.acquire(2);
    expect(buffers.tryAcquire()).toBeUndefined();
    buffers.release(extra);
    expect(await waiting).toHaveLength(2);
    expect(buffers.tryAcquire()).toHaveLength(1);
    expect(buffers.tryAcquire()).toBeUndefined();
  });

  it('gives up on a signal, and serves those who stood behind', async () => {
    const buffers = pool();
    await buffers.acquire(3);
    const controller = new AbortController();
    const large = buffers.acquire(2, controller.signal);
    const small = buffers.acquire(1);
    expect(await isWaiting(small)).toBe(true);
    controller.abort(new Error('enough'));
    await expect(large).rejects.toThrow('enough');
    expect(await small).toHaveLength(1);
  });

  it('lends nothing on a signal that has fired', async () => {
    const buffers = pool();
    await expect(buffers.acquire(1, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
    expect(await buffers.acquire(4)).toHaveLength(4);
  });

  it('keeps what is lent when the signal fires later', async () => {
    const buffers = pool();
    const controller = new AbortController();
    const lent = await buffers.acquire(4, controller.signal);
    controller.abort();
    buffers.release(lent);
    expect(await buffers.acquire(4)).toHaveLength(4);
  });

  it('notices that a buffer is given back twice', async () => {
    const buffers = pool();
    const lent = await buffers.acquire(1);
    buffers.release(lent);
    expect(() => buffers.release(lent)).toThrow('twice');
  });

  it.each([0, 5, 1.5, Number.NaN])('cannot lend %d buffers', async (count) => {
    await expect(pool().acquire(count)).rejects.toThrow(RangeError);
  });
});
