import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkVhdx, openVhdx, type RandomAccessFile, rebaseVhdx, VhdxError } from '../../src/index.js';
import { arbitraryChain, arbitraryImage } from '../support/arbitrary-images.js';
import { pattern, sectorBits } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { type ChainFiles, chainOf, guidAt } from '../support/chain-files.js';
import { dirtied, structureSectors } from '../support/dirty-images.js';
import { contentOf, memoryChain, memoryCopy, readChain } from '../support/edit/memory-chain.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { type ImageSpec, STATE } from '../support/image-spec.js';
import { propertyRuns } from '../support/property-runs.js';
import { expectSameBytes } from '../support/same-bytes.js';
import { SLOW } from '../support/time-limits.js';

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });
const SECTORS = MiB / 512;
const OTHER_GUID = guidAt(900);

const BASE: ImageSpec = {
  virtualSize: 8 * MiB,
  blocks: { 0: present(1), 1: present(2), 2: present(3), 4: present(6), 5: present(4), 6: present(5) },
};
const CHILD: ImageSpec = {
  virtualSize: 8 * MiB,
  blocks: {
    0: { state: STATE.partiallyPresent, data: pattern(11), bitmap: sectorBits(SECTORS, [0, 3], [100, 2048]) },
    1: { state: STATE.zero },
    2: { state: STATE.unmapped },
    3: { state: STATE.partiallyPresent, data: pattern(15), bitmap: sectorBits(SECTORS, [7, 8]) },
    4: { state: STATE.partiallyPresent, data: pattern(16), bitmap: sectorBits(SECTORS, [0, 2048]) },
  },
};

async function expectDisk(
  files: readonly RandomAccessFile[],
  { size, expected }: Pick<ChainFiles['model'], 'size' | 'expected'>,
  where = '',
) {
  const [top, ...parents] = files as [RandomAccessFile, ...RandomAccessFile[]];
  const disk = await openVhdx(top, { parent: parents });
  expect(disk.size, where).toBe(size);
  for (let at = 0; at < size; at += MiB) {
    const length = Math.min(MiB, size - at);
    expectSameBytes(await disk.read(at, length), expected(at, length), `${where} at ${at}`);
  }
  await disk.close();
}

interface Family {
  readonly grandchild: RandomAccessFile;
  readonly child: RandomAccessFile;
  readonly base: RandomAccessFile;
  readonly model: ChainFiles['model'];
}

/** A child with its base, and a child of it that has nothing of its own. */
async function family(child: ImageSpec = CHILD, base: ImageSpec = BASE): Promise<Family> {
  const { files, model } = chainOf(base, child, { ...child, blocks: {} });
  const [top, middle, bottom] = await memoryChain(files);
  return {
    grandchild: top as RandomAccessFile,
    child: middle as RandomAccessFile,
    base: bottom as RandomAccessFile,
    model,
  };
}

const parentPath = '.\\other.vhdx';

describe('a rebase', () => {
  test.each<[string, ImageSpec]>([
    [
      'with other blocks',
      { virtualSize: 8 * MiB, blocks: { 0: present(1), 2: present(77), 3: present(78), 7: present(79) } },
    ],
    ['that is shorter', { virtualSize: 3 * MiB, blocks: { 0: present(50) } }],
    ['that is longer', { virtualSize: 20 * MiB, blocks: { 7: present(50), 12: present(51) } }],
    ['with larger blocks', { virtualSize: 8 * MiB, blockSize: 4 * MiB, blocks: { 0: present(60), 1: present(61) } }],
    ['without any data', { virtualSize: 8 * MiB, blocks: {} }],
  ])('onto a parent %s keeps what is read', async (_, spec) => {
    const { grandchild, child, base, model } = await family();
    const other = await memoryCopy(buildImage({ ...spec, dataWriteGuid: OTHER_GUID }));
    const before = await contentOf(other);
    const dry = await rebaseVhdx(child, other, { parent: base, parentPath, dryRun: true });
    const report = await rebaseVhdx(child, other, { parent: base, parentPath });
    expect(report).toEqual(dry);
    expect(report).toMatchObject({ mayDiffer: false, broken: [] });
    await expectDisk([child, other], model);
    await expectDisk([grandchild, child, other], model, 'the grandchild');
    const view = await readChain([grandchild, child, other]);
    expect(view.metadata.locator?.['parent_linkage']).toBe(`{${guidAt(1)}}`);
    const { metadata } = await readChain([child, other]);
    expect(metadata.locator).toEqual({ parent_linkage: `{${OTHER_GUID}}`, relative_path: parentPath });
    expectSameBytes(await contentOf(other), before);
  });

  test('onto a parent that holds the same copies nothing', async () => {
    const { child, base, model } = await family();
    const other = await memoryCopy(buildImage({ ...BASE, placement: 'reverse', dataWriteGuid: OTHER_GUID }));
    const { size } = child;
    expect(await rebaseVhdx(child, other, { parent: base, parentPath })).toMatchObject({ copied: 0, zeroed: 0 });
    expect(child.size).toBe(size);
    await expectDisk([child, other], model);
  });

  test('onto the parent of the parent takes over what that holds', async () => {
    const { files, model } = chainOf(BASE, CHILD, { virtualSize: 8 * MiB, blocks: { 7: present(90) } });
    const [top, middle, bottom] = (await memoryChain(files)) as [RandomAccessFile, RandomAccessFile, RandomAccessFile];
    await rebaseVhdx(top, bottom, { parent: [middle, bottom], parentPath });
    await expectDisk([top, bottom], model);
  });

  test('onto nothing makes it a dynamic image with all that was read', async () => {
    const { grandchild, child, base, model } = await family();
    const dry = await rebaseVhdx(child, undefined, { parent: base, dryRun: true });
    const report = await rebaseVhdx(child, undefined, { parent: base });
    expect(report).toEqual(dry);
    expect(report.parent).toBeUndefined();
    await expectDisk([child], model);
    await expectDisk([grandchild, child], model, 'the grandchild');
    const disk = await openVhdx(child, { strict: true });
    expect(disk.type).toBe('dynamic');
    expect((await disk.check()).status).toBe('sound');
    const view = await readChain([child]);
    expect(view.metadata.hasParent).toBe(false);
    // Only what holds something has space, and there is no sector bitmap any more.
    expect([...view.bat.present].sort()).toEqual([0, 3, 4, 5, 6]);
    await readChain([grandchild, child]);
  });

  test('of a dirty image with a dirty parent onto a dirty one', async () => {
    const dirt = (image: BuiltImage) => dirtied(image, structureSectors(image));
    const { files, model } = chainOf(BASE, CHILD);
    const [child, base] = (await memoryChain(files.map(dirt))) as [RandomAccessFile, RandomAccessFile];
    const other = await memoryCopy(dirt(buildImage({ ...BASE, blocks: { 5: present(4) }, dataWriteGuid: OTHER_GUID })));
    await rebaseVhdx(child, other, { parent: base, parentPath });
    await expectDisk([child, other], model);
  });

  test('of any chain onto any image, or onto nothing, keeps what is read', SLOW.properties, async () => {
    const cases = fc.constantFrom<512 | 4096>(512, 4096).chain((logicalSectorSize) =>
      fc.record({
        chain: arbitraryChain({ maxBlockSize: 2 * MiB, logicalSectorSize }),
        other: fc.option(arbitraryImage({ maxBlockSize: 2 * MiB, logicalSectorSize })),
      }),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ({ chain: { files, size, expected }, other }) => {
        const [child, ...parents] = (await memoryChain(files)) as [RandomAccessFile, ...RandomAccessFile[]];
        const parent = other ? await memoryCopy(other.image) : undefined;
        await rebaseVhdx(child, parent, { parent: parents, parentPath });
        await expectDisk([child, ...(parent ? [parent] : [])], { size, expected });
        const { counts } = await checkVhdx(child, parent ? { parent } : {});
        expect(counts).toMatchObject({ fatal: 0, block: 0 });
      }),
      propertyRuns(20),
    );
  });

  test('that only changes the link wants the identity to fit, and needs no present parent', async () => {
    const { grandchild, child, base, model } = await family();
    const report = await rebaseVhdx(child, base, { unsafe: true, parentPath: '..\\moved\\base.vhdx' });
    expect(report).toMatchObject({ copied: 0, zeroed: 0, mayDiffer: false });
    await expectDisk([child, base], model);
    const { metadata } = await readChain([child, base]);
    expect(metadata.locator).toEqual({ parent_linkage: `{${guidAt(0)}}`, relative_path: '..\\moved\\base.vhdx' });
    await readChain([grandchild, child, base]);
  });

  test('that accepts a parent of another identity gives the image another one too', async () => {
    const { child, base, model } = await family();
    const copy = await memoryCopy(buildImage({ ...BASE, dataWriteGuid: OTHER_GUID }));
    const options = { unsafe: true, parentPath, ignoreParentMismatch: true };
    expect(await rebaseVhdx(child, copy, { ...options, dryRun: true })).toMatchObject({ mayDiffer: true });
    await expectDisk([child, base], model);
    expect(await rebaseVhdx(child, copy, options)).toMatchObject({ mayDiffer: true });
    await expectDisk([child, copy], model);
    expect((await readChain([child, copy])).header.dataWriteGuid).not.toBe(guidAt(1));
  });

  test('that is aborted leaves an image that reads the same, with its present parent', async () => {
    const { child, base, model } = await family();
    const controller = new AbortController();
    const rebasing = rebaseVhdx(child, undefined, {
      parent: base,
      signal: controller.signal,
      onProgress: ({ done }) => {
        if (done > 5 * MiB) controller.abort(new Error('enough'));
      },
    });
    await expect(rebasing).rejects.toThrow('enough');
    await expectDisk([child, base], model);
    expect((await readChain([child, base])).dirty).toBe(false);
    await rebaseVhdx(child, undefined, { parent: base });
    await expectDisk([child], model);
  });

  test('stores only the sectors that differ', async () => {
    const { files, model } = chainOf(BASE, { virtualSize: 8 * MiB, blocks: {} });
    const [child, base] = (await memoryChain(files)) as [RandomAccessFile, RandomAccessFile];
    const image = buildImage({ ...BASE, dataWriteGuid: OTHER_GUID });
    image.write(image.layout.blockOffset(1) + 12 * KiB, new Uint8Array([1]));
    const report = await rebaseVhdx(child, await memoryCopy(image), { parent: base, parentPath });
    expect(report).toMatchObject({ copied: 4096, zeroed: 0 });
    await expectDisk([child, await memoryCopy(image)], model);
  });
});

describe('a rebase is refused, and nothing is written,', () => {
  async function refused(
    work: (of: Family & { other: RandomAccessFile }) => Promise<unknown>,
    other: ImageSpec = {},
  ): Promise<VhdxError> {
    const all = await family();
    const otherFile = await memoryCopy(buildImage({ ...BASE, dataWriteGuid: OTHER_GUID, ...other }));
    const before = await contentOf(all.child);
    const error = await work({ ...all, other: otherFile }).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(VhdxError);
    expectSameBytes(await contentOf(all.child), before);
    return error as VhdxError;
  }

  test('onto the image itself', async () => {
    const error = await refused(({ child, base }) => rebaseVhdx(child, child, { parent: base, parentPath }));
    expect(error.code).toBe('parent-cycle');
  });

  test('onto its own child', async () => {
    const error = await refused(({ child, base, grandchild }) =>
      rebaseVhdx(child, grandchild, { parent: base, parentOptions: { parent: [child, base] }, parentPath }),
    );
    expect(error.code).toBe('parent-cycle');
  });

  test('onto an image with other sectors', async () => {
    const error = await refused(({ child, base, other }) => rebaseVhdx(child, other, { parent: base, parentPath }), {
      logicalSectorSize: 4096,
    });
    expect(error.code).toBe('parent-sector-size');
  });

  test('without its present parent', async () => {
    const error = await refused(({ child, other }) => rebaseVhdx(child, other, { parentPath }));
    expect(error.code).toBe('parent-missing');
  });

  test('onto an image that is damaged', async () => {
    const bat = { 3: BigInt(900 * MiB) + 6n };
    const error = await refused(({ child, base, other }) => rebaseVhdx(child, other, { parent: base, parentPath }), {
      bat,
    });
    expect(error.code).toBe('parent-damaged');
  });

  test('onto an image without identity', async () => {
    const dataWriteGuid = '00000000-0000-0000-0000-000000000000';
    const error = await refused(({ child, base, other }) => rebaseVhdx(child, other, { parent: base, parentPath }), {
      dataWriteGuid,
    });
    expect(error.code).toBe('parent-mismatch');
  });

  test('that only changes the link, onto another image', async () => {
    const error = await refused(({ child, other }) => rebaseVhdx(child, other, { unsafe: true, parentPath }));
    expect(error).toMatchObject({ code: 'parent-mismatch', hints: ['ignore-parent-mismatch'] });
  });

  test('if the way to the new parent is not known', async () => {
    const error = await refused(({ child, base, other }) => rebaseVhdx(child, other, { parent: base }));
    expect(error.code).toBe('parent-missing');
  });

  test('of an image that has no parent', async () => {
    const [file, other] = await memoryChain([buildImage(BASE), buildImage({ ...BASE, dataWriteGuid: OTHER_GUID })]);
    const rebasing = rebaseVhdx(file as RandomAccessFile, other, { parentPath });
    await expect(rebasing).rejects.toMatchObject({ code: 'unsupported-input' });
    const unsafe = rebaseVhdx(file as RandomAccessFile, other, { parentPath, unsafe: true });
    await expect(unsafe).rejects.toMatchObject({ code: 'unsupported-input' });
  });

  test('onto nothing without copying', async () => {
    const { child } = await family();
    await expect(rebaseVhdx(child, undefined, { unsafe: true })).rejects.toThrow(RangeError);
  });
});
