import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkVhdx, mergeVhdx, openVhdx, type RandomAccessFile, VhdxError } from '../../src/index.js';
import { arbitraryChain } from '../support/arbitrary-images.js';
import { pattern, sectorBits } from '../support/block-content.js';
import { type ChainFiles, chainOf, guidAt } from '../support/chain-files.js';
import { crc32cReference } from '../support/crc32c-reference.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { contentOf, memoryChain, readChain } from '../support/edit/memory-chain.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { fiveMembers } from '../support/five-members.js';
import { type ImageSpec, STATE } from '../support/image-spec.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { SLOW } from '../support/time-limits.js';

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });
const SECTORS = MiB / 512;

/** A child of every state over a base of which some blocks are stored. */
const BASE: ImageSpec = {
  virtualSize: 6 * MiB,
  blocks: { 0: present(1), 1: present(2), 2: present(3), 5: present(4) },
};
const CHILD: ImageSpec = {
  virtualSize: 6 * MiB,
  blocks: {
    0: { state: STATE.partiallyPresent, data: pattern(11), bitmap: sectorBits(SECTORS, [0, 3], [100, 2048]) },
    1: { state: STATE.zero },
    2: { state: STATE.unmapped },
    3: present(14),
    4: { state: STATE.partiallyPresent, data: pattern(15), bitmap: sectorBits(SECTORS, [7, 8]) },
  },
};

async function expectDisk(files: readonly RandomAccessFile[], { size, expected }: ChainFiles['model'], where = '') {
  const [top, ...parents] = files as [RandomAccessFile, ...RandomAccessFile[]];
  const disk = await openVhdx(top, { parent: parents, strict: parents.length === 0 });
  expect(disk.size, where).toBe(size);
  for (let at = 0; at < size; at += MiB) {
    const length = Math.min(MiB, size - at);
    expectSameBytes(await disk.read(at, length), expected(at, length), `${where} at ${at}`);
  }
  await disk.close();
}

describe('a merge', () => {
  test.each([
    ['dynamic', {}],
    ['fixed', { type: 'fixed' }],
    ['of larger blocks', { blockSize: 4 * MiB, blocks: { 0: present(1), 1: present(2) } }],
  ] as [string, ImageSpec][])('into a parent that is %s makes it the disk that the child was', async (_, spec) => {
    const { files, model } = chainOf({ ...BASE, ...spec }, CHILD);
    const [child, base] = (await memoryChain(files)) as [RandomAccessFile, RandomAccessFile];
    const report = await mergeVhdx(child, { parent: base });
    expect(report).toMatchObject({ copied: 2 * MiB - 97 * 512 + 512, zeroed: 2 * MiB, sizeBefore: 6 * MiB });
    await expectDisk([base], model);
    await expectDisk([child, base], model);
    const view = await readChain([base]);
    expect(view.header.dataWriteGuid).not.toBe(guidAt(0));
    expect(view.dirty).toBe(false);
    await readChain([child, base]);
  });

  test.each([1, 2, 3, 4])('of five members into the one that is %i below the child, in one pass', async (depth) => {
    const { files, model } = fiveMembers(512);
    const chain = await memoryChain(files);
    const before = await Promise.all(chain.map(contentOf));
    await mergeVhdx(chain[0] as RandomAccessFile, { parent: chain.slice(1), base: chain[depth] as RandomAccessFile });
    await expectDisk(chain.slice(depth), model, 'the base');
    await expectDisk(chain, model, 'the child');
    // Only the base and the one above it, whose locator names both, have changed.
    for (const [i, file] of chain.entries()) {
      const isSame = crc32cReference(await contentOf(file)) === crc32cReference(before[i] as Uint8Array);
      expect(isSame, `member ${i}`).toBe(i !== depth && i !== depth - 1);
    }
  });

  test('of any chain into any of its members gives what was read before', SLOW.properties, async () => {
    const chains = arbitraryChain({ maxBlockSize: 2 * MiB });
    const cases = fc.record({ chain: chains, at: fc.nat(), dirty: fc.nat({ max: 7 }) });
    await fc.assert(
      fc.asyncProperty(cases, async ({ chain: { files, size, expected }, at, dirty }) => {
        const isDirty = (i: number) => ((dirty >> i) & 1) === 1;
        const images = files.map((file, i) => (isDirty(i) ? dirtied(file, structureSectors(file)) : file));
        const chain = await memoryChain(images);
        const depth = 1 + (at % (files.length - 1));
        await mergeVhdx(chain[0] as RandomAccessFile, {
          parent: chain.slice(1),
          base: chain[depth] as RandomAccessFile,
        });
        await expectDisk(chain.slice(depth), { size, expected }, 'the base');
        await expectDisk(chain, { size, expected }, 'the child');
        // The strict reader takes no images of other writers, which leave offsets where none belong.
        const { counts } = await checkVhdx(chain[0] as RandomAccessFile, { parent: chain.slice(1) });
        expect(counts).toMatchObject({ fatal: 0, block: 0 });
      }),
      propertyRuns(20),
    );
  });

  test('takes over the identity of the disk, and what users stored with it', async () => {
    const own = { id: 'c0ffee00-1234-4abc-8def-0123456789ab', flags: 3, data: new Uint8Array([1, 2, 3]) };
    const old = { ...own, id: 'c0ffee00-1234-4abc-8def-0123456789ac' };
    const file = { ...own, id: 'c0ffee00-1234-4abc-8def-0123456789ad', flags: 1 };
    const { files } = chainOf(
      { ...BASE, physicalSectorSize: 512, items: (plain) => [old, file, ...plain] },
      { ...CHILD, virtualDiskId: '11111111-2222-4333-8444-555555555555', items: (plain) => [...plain, own] },
    );
    const [child, base] = (await memoryChain(files)) as [RandomAccessFile, RandomAccessFile];
    await mergeVhdx(child, { parent: base });
    const disk = await openVhdx(base, { strict: true });
    expect(disk).toMatchObject({ id: '11111111-2222-4333-8444-555555555555', physicalSectorSize: 4096 });
    expect(
      disk.info.metadataItems
        .filter(({ user }) => user)
        .map(({ id }) => id)
        .sort(),
    ).toEqual([own.id, file.id]);
    const { items } = await readChain([base]);
    expect(items.size).toBe(7);
  });

  test.each([
    ['makes the metadata region of the base longer for what users stored', MiB, 3 * MiB],
    ['writes a metadata region anew in which more changes than the log takes', 4 * MiB, 4 * MiB],
  ])('%s', async (_, before, after) => {
    const item = (n: number) => ({
      id: `c0ffee00-1234-4abc-8def-${String(n).padStart(12, '0')}`,
      flags: 3,
      data: new Uint8Array(900 * KiB).fill(n),
    });
    const stored = [item(1), item(2), item(3)];
    const { files, model } = chainOf(
      { ...BASE, places: { metadata: { length: before } } },
      {
        ...CHILD,
        places: { metadata: { length: 4 * MiB } },
        items: (plain) => [...plain, ...stored],
      },
    );
    const [child, base] = (await memoryChain(files)) as [RandomAccessFile, RandomAccessFile];
    await mergeVhdx(child, { parent: base });
    await expectDisk([base], model);
    const view = await readChain([base]);
    for (const { id, data } of stored) expectSameBytes(view.items.get(`user ${id}`)?.bytes as Uint8Array, data, id);
    expect(view.regions.map(({ length }) => length).sort()).toEqual([MiB, after]);
  });

  test('that would give the base more user items than it may have is refused, and both read as before', async () => {
    const items = (first: number, flags: number) =>
      Array.from({ length: 600 }, (_, i) => ({
        id: `c0ffee00-1234-4abc-8def-${String(first + i).padStart(12, '0')}`,
        flags,
        data: new Uint8Array([i % 256]),
      }));
    const { files, model } = chainOf(
      { ...BASE, items: (plain) => [...plain, ...items(0, 1)] },
      { ...CHILD, items: (plain) => [...plain, ...items(1000, 3)] },
    );
    const [child, base] = (await memoryChain(files)) as [RandomAccessFile, RandomAccessFile];
    await expect(mergeVhdx(child, { parent: base })).rejects.toMatchObject({ code: 'metadata-entry-count' });
    await expectDisk([child, base], model);
    expect((await readChain([base])).items.size).toBe(605);
  });

  test('can be run again, and names the new state of the base each time', async () => {
    const { files, model } = chainOf(BASE, CHILD);
    const [child, base] = (await memoryChain(files)) as [RandomAccessFile, RandomAccessFile];
    const guids = new Set<string>();
    for (let i = 0; i < 3; i++) {
      await mergeVhdx(child, { parent: base });
      guids.add((await readChain([base])).header.dataWriteGuid);
      await expectDisk([child, base], model);
      await expectDisk([base], model);
    }
    expect(guids.size).toBe(3);
  });

  test('that only says what it would do writes nothing', async () => {
    const { files } = chainOf(BASE, CHILD);
    const chain = await memoryChain(files);
    const before = await Promise.all(chain.map(contentOf));
    const [child, base] = chain as [RandomAccessFile, RandomAccessFile];
    const dry = await mergeVhdx(child, { parent: base, dryRun: true });
    for (const [i, file] of chain.entries()) expectSameBytes(await contentOf(file), before[i] as Uint8Array);
    expect(await mergeVhdx(child, { parent: base })).toEqual(dry);
  });

  test('says how far it is', async () => {
    const { files } = chainOf(BASE, CHILD);
    const [child, base] = (await memoryChain(files)) as [RandomAccessFile, RandomAccessFile];
    const seen: number[] = [];
    const { copied, zeroed } = await mergeVhdx(child, {
      parent: base,
      onProgress: ({ done, total }) => {
        seen.push(done);
        expect(total).toBe(4 * MiB - 96 * 512);
      },
    });
    expect(seen.at(-1)).toBe(copied + zeroed);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });

  test('that is aborted leaves a chain that reads the same, and can be run again', async () => {
    const { files, model } = chainOf(BASE, CHILD);
    const [child, base] = (await memoryChain(files)) as [RandomAccessFile, RandomAccessFile];
    const controller = new AbortController();
    const merging = mergeVhdx(child, {
      parent: base,
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    });
    await expect(merging).rejects.toThrow('enough');
    await expectDisk([child, base], model);
    expect((await readChain([base])).dirty).toBe(false);
    await mergeVhdx(child, { parent: base });
    await expectDisk([base], model);
  });
});

describe('a merge is refused, and nothing is written,', () => {
  async function refused(
    files: readonly ChainFiles['files'][number][],
    options: (chain: RandomAccessFile[]) => Parameters<typeof mergeVhdx>[1],
  ): Promise<VhdxError> {
    const chain = await memoryChain(files);
    const before = await Promise.all(chain.map(contentOf));
    const error = await mergeVhdx(chain[0] as RandomAccessFile, options(chain)).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(VhdxError);
    for (const [i, file] of chain.entries()) expectSameBytes(await contentOf(file), before[i] as Uint8Array);
    return error as VhdxError;
  }

  test('of an image that has no parent', async () => {
    const { files } = chainOf(BASE);
    expect(await refused(files, () => ({}))).toMatchObject({ code: 'unsupported-input' });
  });

  test('of a chain that is not whole', async () => {
    const { files } = chainOf(BASE, CHILD, CHILD);
    expect(await refused(files, (chain) => ({ parent: [chain[1] as RandomAccessFile] }))).toMatchObject({
      code: 'parent-missing',
    });
  });

  test('into a parent that was written since', async () => {
    const { files } = chainOf({ ...BASE, dataWriteGuid: guidAt(77) }, CHILD);
    expect(await refused(files, ([, base]) => ({ parent: [base as RandomAccessFile] }))).toMatchObject({
      code: 'parent-mismatch',
    });
  });

  test('into the child itself', async () => {
    const { files } = chainOf(BASE, CHILD);
    const error = await refused(files, ([child, base]) => ({ parent: [base as RandomAccessFile], base: child }));
    expect(error).toMatchObject({ code: 'parent-cycle' });
  });

  test('into an image that is none of its parents', async () => {
    const { files } = chainOf(BASE, CHILD);
    const [other] = await memoryChain(chainOf({ ...BASE, dataWriteGuid: guidAt(78) }).files);
    const error = await refused(files, ([, base]) => ({ parent: [base as RandomAccessFile], base: other }));
    expect(error).toMatchObject({ code: 'parent-missing' });
  });

  test('into a parent that cannot be written', async () => {
    const { files } = chainOf(BASE, CHILD);
    const bytes = files[1]?.toUint8Array() as Uint8Array;
    expect(await refused(files, () => ({ parent: [bytes] }))).toMatchObject({ code: 'read-only' });
  });

  test('of a child of which a block is damaged', async () => {
    const past = { 3: BigInt(900 * MiB) + 6n };
    const { files } = chainOf(BASE, { ...CHILD, bat: past });
    const error = await refused(files, ([, base]) => ({ parent: [base as RandomAccessFile] }));
    expect(error).toMatchObject({ code: 'bat-past-end' });
  });

  test('into a parent that is too doubtful to be written', async () => {
    const { files } = chainOf({ ...BASE, bat: { 3: BigInt(900 * MiB) + 6n } }, CHILD);
    const error = await refused(files, ([, base]) => ({ parent: [base as RandomAccessFile] }));
    expect(error).toMatchObject({ code: 'bat-past-end' });
  });

  test('by a signal that was aborted before', async () => {
    const { files } = chainOf(BASE, CHILD);
    const [child, base] = (await memoryChain(files)) as [RandomAccessFile, RandomAccessFile];
    const signal = AbortSignal.abort(new Error('no'));
    await expect(mergeVhdx(child, { parent: base, signal })).rejects.toThrow('no');
  });
});
