// Disks that are closed, reads that are aborted, sources that fail: nothing is left open, and nothing is poisoned.
import { describe, expect, test } from 'vitest';
import { openVhdx, type VhdxDisk } from '../../src/index.js';
import { pattern } from '../support/block-content.js';
import { buildImage } from '../support/build-image.js';
import { chainOf } from '../support/chain-files.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { modelOf } from '../support/disk-model.js';
import { GiB, KiB, MiB } from '../support/encode-primitives.js';
import { type BlockSpec, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

import { SLOW } from '../support/time-limits.js';

const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
const image = buildImage({
  blocks: Object.fromEntries([0, 1, 2, 3, 4, 5, 6, 7].map((block) => [block, present(block)])),
});
const model = modelOf(image);
/** Eighty pages of BAT, with a block at the start of each. */
const pages = 80;
const large = buildImage({
  virtualSize: 640 * GiB,
  blocks: Object.fromEntries(
    Array.from({ length: pages }, (_, i) => [i * 8192 - Math.floor(i * 2) + (i > 0 ? 3 : 0), present(i)]),
  ),
});
const listed = Object.keys(large.spec.blocks).map(Number);
const largeModel = modelOf(large);

/** Every way to read, each as a function that reads something. */
const waysToRead: Record<string, (disk: VhdxDisk, signal?: AbortSignal) => Promise<unknown>> = {
  read: (disk, signal) => disk.read(0, 4 * MiB, { signal }),
  readInto: (disk, signal) => disk.readInto(new Uint8Array(4096), 17, { signal }),
  checksum: (disk, signal) => disk.checksum({ signal }),
  check: (disk, signal) => disk.check({ signal }),
  extents: async (disk, signal) => {
    for await (const extent of disk.extents({ signal })) void extent;
  },
  stream: async (disk, signal) => {
    for await (const chunk of disk.stream({ signal })) void chunk;
  },
};

describe('a closed disk', () => {
  for (const [name, read] of Object.entries(waysToRead)) {
    test(`rejects ${name}`, async () => {
      const disk = await openVhdx(image.source());
      await read(disk);
      await disk.close();
      await expect(read(disk)).rejects.toMatchObject({ name: 'VhdxError', code: 'closed' });
    });
  }

  test('may be closed again, and by await using', async () => {
    const disk = await openVhdx(image.source());
    await disk.close();
    await disk.close();
    if (!Symbol.asyncDispose) return;
    const other = await openVhdx(image.source());
    await other[Symbol.asyncDispose]();
    await expect(other.read(0, 1)).rejects.toMatchObject({ code: 'closed' });
  });

  test('closes its parents, and leaves open what was handed over', async () => {
    const { files } = chainOf({ blocks: { 0: present(1) } }, { blocks: { 1: present(2) } });
    const [child, base] = files.map((file) => file.source());
    if (!child || !base) throw new Error('there are two');
    const disk = await openVhdx(child, { parent: base });
    const { parent } = disk;
    await disk.close();
    await expect(parent?.read(0, 1)).rejects.toMatchObject({ code: 'closed' });
    expect([child.closed, base.closed]).toEqual([false, false]);
  });

  test('lets reads that are under way end', async () => {
    const disk = await openVhdx(image.source({ latency: 20 }));
    const target = new Uint8Array(MiB);
    const running = disk.readInto(target, 5 * MiB).then(
      () => 'done',
      (error: { code?: string }) => error.code,
    );
    await disk.close();
    expect(['done', 'closed']).toContain(await running);
    // What a read of a closed disk left in the target stays as it is.
    const after = target.slice();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expectSameBytes(target, after);
  });
});

describe('giving up', () => {
  for (const [name, read] of Object.entries(waysToRead)) {
    test(`${name} that is aborted before it begins reads nothing`, async () => {
      const source = image.source();
      const disk = await openVhdx(source);
      const before = source.bytesRead;
      await expect(read(disk, AbortSignal.abort(new Error('no more')))).rejects.toThrow('no more');
      expect(source.bytesRead).toBe(before);
    });

    test(`${name} that is aborted on the way ends soon, and spoils nothing for others`, async () => {
      const source = large.source({ latency: 2 });
      const disk = await openVhdx(source);
      const abort = new AbortController();
      const reading = read(disk, abort.signal);
      // The one that is aborted and the one that is not want the same pages.
      const other = disk.read(0, 4 * MiB);
      abort.abort(new Error('no more'));
      await expect(reading).rejects.toThrow('no more');
      expectSameBytes(await other, largeModel.expected(0, 4 * MiB));
      const after = source.bytesRead;
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(source.bytesRead - after).toBeLessThan(2 * MiB);
    });
  }

  test('a stream that nobody reads on stops reading, and gives back what it holds', async () => {
    const source = image.source();
    const disk = await openVhdx(source);
    const before = source.bytesRead;
    const stream = disk.stream();
    expect(source.bytesRead).toBe(before);
    const reader = stream.getReader();
    await reader.read();
    await reader.cancel();
    const after = source.bytesRead;
    expect(after - before).toBeLessThan(8 * MiB);
    for (let i = 0; i < 20; i++) {
      for await (const chunk of disk.stream()) {
        expectSameBytes(chunk.slice(0, 512), model.expected(0, 512));
        break;
      }
      for await (const extent of disk.extents()) {
        expect(extent.offset).toBe(0);
        break;
      }
    }
    expect(await disk.checksum({ length: MiB })).toBe(crc32cReference(model.expected(0, MiB)));
  });

  test('a stream, extents and a checksum of terabytes of nothing can be aborted', async () => {
    const empty = await openVhdx(buildImage({ virtualSize: 60 * 1024 * GiB, blocks: {} }).source());
    const abort = new AbortController();
    let chunks = 0;
    const reading = async () => {
      for await (const chunk of empty.stream({ signal: abort.signal })) {
        chunks += chunk.length > 0 ? 1 : 0;
        if (chunks === 3) abort.abort(new Error('no more'));
      }
    };
    await expect(reading()).rejects.toThrow('no more');
    expect(chunks).toBeLessThan(6);
    for (const read of [waysToRead['extents'], waysToRead['checksum'], waysToRead['check']]) {
      const soon = new AbortController();
      setTimeout(() => soon.abort(new Error('not so long')), 0);
      await expect(read?.(empty, soon.signal)).rejects.toThrow('not so long');
    }
  });

  test('opening that is aborted rejects with the reason', async () => {
    const signal = AbortSignal.abort(new Error('no more'));
    await expect(openVhdx(image.source(), { signal })).rejects.toThrow('no more');
    const abort = new AbortController();
    const opening = openVhdx(image.source({ latency: 5 }), { signal: abort.signal });
    abort.abort(new Error('not now'));
    await expect(opening).rejects.toThrow('not now');
  });
});

describe('a source that fails', () => {
  test('fails the reads that touch the place, with its own error, and those after it find it mended', async () => {
    let broken = true;
    const [from, to] = [image.layout.blockOffset(3), image.layout.blockOffset(4)];
    const fail = (offset: number, length: number) =>
      broken && offset < to && offset + length > from ? new Error('a bad sector') : undefined;
    const disk = await openVhdx(image.source({ fail }));
    for (const read of [waysToRead['read'], waysToRead['checksum'], waysToRead['stream']]) {
      await expect(read?.(disk)).rejects.toThrow('a bad sector');
    }
    expectSameBytes(await disk.read(0, 3 * MiB), model.expected(0, 3 * MiB));
    broken = false;
    expectSameBytes(await disk.read(0, disk.size), model.expected(0, disk.size));
    expect(await disk.checksum()).toBe(crc32cReference(model.expected(0, model.size)));
  });

  test('fails a BAT page for all that wait for it, and for nobody later', async () => {
    let broken = false;
    const { bat } = large.layout;
    const fail = (offset: number) =>
      broken && offset >= bat.offset && offset < bat.offset + bat.length ? new Error('a bad sector') : undefined;
    const disk = await openVhdx(large.source({ fail, latency: 1 }));
    broken = true;
    const wanted = [70 * 8, 70 * 8 + 1, 71 * 8].map((gib) => disk.read(gib * GiB, 4096));
    expect((await Promise.allSettled(wanted)).map(({ status }) => status)).toEqual([
      'rejected',
      'rejected',
      'rejected',
    ]);
    broken = false;
    expectSameBytes(await disk.read(70 * 8 * GiB, 4096), largeModel.expected(70 * 8 * GiB, 4096));
  });
});

test('many disks at once, with more pages than there is room for', SLOW.largest, async () => {
  const disks = await Promise.all(Array.from({ length: 6 }, () => openVhdx(large.source({ latency: 1 }))));
  const reads = disks.flatMap((disk, d) =>
    listed.map(async (block, i) => {
      const offset = listed[(i * 7 + d * 13) % listed.length] as number;
      expectSameBytes(
        await disk.read(offset * MiB - (offset ? 512 : 0), 4 * KiB),
        largeModel.expected(offset * MiB - (offset ? 512 : 0), 4 * KiB),
        `block ${block}`,
      );
    }),
  );
  await Promise.all(reads);
  await Promise.all(disks.map((disk) => disk.close()));
});
