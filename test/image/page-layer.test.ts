import { describe, expect, test } from 'vitest';
import { PAGE_SIZE, PageLayer } from '../../src/image/page-layer.js';
import type { RandomAccessSource } from '../../src/io/random-access.js';

/** A file of so many pages, of which each byte is the number of its page; counts the reads. */
function fileOf(pages: number): RandomAccessSource & { bytes: Uint8Array; reads: number } {
  const bytes = new Uint8Array(pages * PAGE_SIZE);
  for (let page = 0; page < pages; page++) bytes.fill(page, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
  const file = {
    bytes,
    reads: 0,
    size: bytes.length,
    async readInto(target: Uint8Array, offset: number) {
      file.reads += 1;
      await Promise.resolve();
      target.set(bytes.subarray(offset, offset + target.length));
    },
  };
  return file;
}

const noRoom = () => Promise.reject(new Error('there was room'));

async function read(layer: PageLayer, offset: number, length: number): Promise<Uint8Array> {
  const target = new Uint8Array(length);
  await layer.readInto(target, offset);
  return target;
}

describe('changed pages', () => {
  test('are read at once, and the file does not change', async () => {
    const file = fileOf(4);
    const layer = new PageLayer(file);
    await layer.change([PAGE_SIZE], 126, noRoom, (bytesOf) => bytesOf(PAGE_SIZE).fill(0xaa, 8, 16));
    const bytes = await read(layer, PAGE_SIZE - 4, 24);
    expect([...bytes]).toEqual([...Array(4).fill(0), ...Array(8).fill(1), ...Array(8).fill(0xaa), ...Array(4).fill(1)]);
    expect(file.bytes[PAGE_SIZE + 8]).toBe(1);
  });

  test('leave as they were when the group was closed; what changes later waits for the next one', async () => {
    const layer = new PageLayer(fileOf(4));
    await layer.change([0, PAGE_SIZE], 126, noRoom, (bytesOf) => {
      bytesOf(0)[0] = 1;
      bytesOf(PAGE_SIZE)[0] = 2;
    });
    const group = layer.close();
    await layer.change([PAGE_SIZE], 126, noRoom, (bytesOf) => {
      bytesOf(PAGE_SIZE)[0] = 3;
    });
    expect([...group.keys()]).toEqual([0, PAGE_SIZE]);
    expect(group.get(PAGE_SIZE)?.[0]).toBe(2);
    expect((await layer.read(PAGE_SIZE))[0]).toBe(3);
    expect([...layer.close()].map(([offset, bytes]) => [offset, bytes[0]])).toEqual([[PAGE_SIZE, 3]]);
    expect(layer.close().size).toBe(0);
  });

  test('that would be too many wait until others have left, and are never split', async () => {
    const layer = new PageLayer(fileOf(8));
    const groups: number[][] = [];
    const makeRoom = async () => {
      groups.push([...layer.close().keys()].map((offset) => offset / PAGE_SIZE));
    };
    const mark = (bytesOf: (offset: number) => Uint8Array, ...pages: number[]) => {
      for (const page of pages) bytesOf(page * PAGE_SIZE)[0] = 99;
    };
    await layer.change([0, PAGE_SIZE], 3, makeRoom, (bytesOf) => mark(bytesOf, 0, 1));
    await layer.change([PAGE_SIZE, 2 * PAGE_SIZE], 3, makeRoom, (bytesOf) => mark(bytesOf, 1, 2));
    await layer.change([3 * PAGE_SIZE, 4 * PAGE_SIZE], 3, makeRoom, (bytesOf) => mark(bytesOf, 3, 4));
    expect(groups).toEqual([[0, 1, 2]]);
    expect(layer.changedPages).toBe(2);
    await expect(layer.change([0, 4096, 8192, 12288], 3, makeRoom, () => undefined)).rejects.toThrow(RangeError);
  });

  test('are loaded once, by however many operations, and kept until they are in their places', async () => {
    const file = fileOf(600);
    const layer = new PageLayer(file);
    await Promise.all(
      [1, 2, 3].map((byte) =>
        layer.change([0], 126, noRoom, (bytesOf) => {
          bytesOf(0)[byte] = byte;
        }),
      ),
    );
    expect(file.reads).toBe(1);
    layer.close();
    // So many others that a page without changes is forgotten.
    for (let page = 1; page < 600; page++) await layer.read(page * PAGE_SIZE);
    expect([...(await read(layer, 0, 5))]).toEqual([0, 1, 2, 3, 0]);
    expect(file.reads).toBe(601);
    layer.settle();
    await layer.read(PAGE_SIZE); // one more than is kept
    await layer.read(0);
    expect(file.reads).toBe(603);
  });

  test('that change while the file is read are read as they are at the end', async () => {
    const file = fileOf(2);
    const layer = new PageLayer(file);
    const reading = read(layer, 0, 2 * PAGE_SIZE);
    await layer.change([PAGE_SIZE], 126, noRoom, (bytesOf) => bytesOf(PAGE_SIZE).fill(7));
    expect([0, 1, 7]).toContain((await reading)[PAGE_SIZE]);
    expect((await read(layer, PAGE_SIZE, 1))[0]).toBe(7);
  });

  test('of space that is free are forgotten: what is written there next is read', async () => {
    const file = fileOf(4);
    const layer = new PageLayer(file);
    await layer.change([0, PAGE_SIZE], 126, noRoom, (bytesOf) => bytesOf(PAGE_SIZE).fill(0xaa));
    layer.close();
    layer.settle();
    layer.forget(PAGE_SIZE, PAGE_SIZE);
    file.bytes.fill(0x77, PAGE_SIZE, 2 * PAGE_SIZE);
    expect([...(await read(layer, PAGE_SIZE, 2))]).toEqual([0x77, 0x77]);
    expect((await layer.read(PAGE_SIZE))[0]).toBe(0x77);
  });
});
