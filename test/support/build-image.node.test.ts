// The image builder is half of the proof that the reader is right, so other people's readers judge it here.
import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect } from 'vitest';
import { arbitraryChain, arbitraryImage, type ImageWithModel } from './arbitrary-images.js';
import { contentBytes, pattern, sectorBits } from './block-content.js';
import { type BuiltImage, buildImage } from './build-image.js';
import { type DiskModel, modelOf } from './disk-model.js';
import { GiB, KiB, MiB } from './encode-primitives.js';
import { type ImageSpec, locatorEntries, STATE } from './image-spec.js';
import { convertWithQemu, pyvhdi, qemuImg, readWith7Zip, readWithLibvhdi, sevenZip } from './other-readers.js';
import { expectSameBytes } from './same-bytes.js';
import { saveFile } from './save-image.js';
import type { ByteRange } from './sparse-file.js';
import { needs, tempDir } from './tools.js';

const present = (seed: number) => ({ state: STATE.fullyPresent, data: pattern(seed) });

/** A block with content in its first 64 KiB, for blocks that are too large to be written out whole. */
const beginning = (seed: number) => ({ state: STATE.fullyPresent, data: contentBytes(pattern(seed), 0, 64 * KiB) });

/** Saves a chain, given from the child to the base, under the names in its locators. */
async function saveChain(files: readonly BuiltImage[]): Promise<string[]> {
  const folder = await tempDir();
  const paths = files.map((_, i) => join(folder, `${files.length - 1 - i}.vhdx`));
  for (const [i, file] of files.entries()) await saveFile(file, paths[i] as string);
  return paths;
}

/** What qemu-img reads: 512-byte sectors, no parents. */
async function readWithQemu(path: string): Promise<Uint8Array> {
  return readFile(await convertWithQemu(path));
}

async function readRange(path: string, { offset, length }: ByteRange): Promise<Uint8Array> {
  const handle = await open(path);
  try {
    const bytes = new Uint8Array(length);
    const { bytesRead } = await handle.read(bytes, 0, length, offset);
    return bytes.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

const wholeOf = (model: DiskModel): Uint8Array => model.expected(0, model.size);

const small: readonly (readonly [string, ImageSpec])[] = [
  ['the image without a word said', {}],
  ['fixed', { type: 'fixed', blocks: { 1: present(1), 7: present(7) } }],
  ['fixed, made by QEMU', { type: 'fixed', habits: 'qemu', blocks: { 3: present(3) } }],
  ['dynamic, made by QEMU', { habits: 'qemu', otherBlocks: STATE.zero, blocks: { 0: present(1), 5: present(2) } }],
  [
    'blocks of 2 MiB, shuffled',
    { blockSize: 2 * MiB, placement: 'shuffled', blocks: { 0: present(1), 1: present(2), 3: present(3) } },
  ],
  [
    'blocks of 8 MiB, the last cut short',
    { blockSize: 32 * MiB, virtualSize: 40 * MiB, blocks: { 0: present(1), 1: present(2) } },
  ],
  ['blocks in reverse order', { placement: 'reverse', blocks: { 0: present(1), 4: present(2), 7: present(3) } }],
  ['blocks with gaps', { placement: 'gaps', blocks: { 0: present(1), 4: present(2), 7: present(3) } }],
  ['a last block of two sectors', { virtualSize: 3 * MiB + 1024, blocks: { 0: present(1), 3: present(2) } }],
  [
    'blocks unmapped, zero and undefined',
    { blocks: { 0: { state: 1 }, 1: { state: 2 }, 2: { state: 3 }, 3: present(1) } },
  ],
  ['a log of 2 MiB', { places: { log: { length: 2 * MiB } } }],
];

describe('images without a parent', () => {
  for (const [title, spec] of small) {
    needs(qemuImg, sevenZip, pyvhdi).test(`${title}: qemu-img, 7-Zip and libvhdi read what was put in`, async () => {
      const image = buildImage(spec);
      const [path = ''] = await saveChain([image]);
      const expected = wholeOf(modelOf(image));
      const check = await qemuImg.run(['check', path]);
      expect(check).toMatchObject({ status: 0, stdout: 'No errors were found on the image.\n' });
      expectSameBytes(await readWithQemu(path), expected);
      expectSameBytes(await readWith7Zip(path), expected);
      expectSameBytes(await readWithLibvhdi([path]), expected);
    });
  }

  needs(qemuImg, pyvhdi).test('an odd number of sectors: qemu-img and libvhdi read what was put in', async () => {
    const image = buildImage({ virtualSize: 3 * MiB + 512, blocks: { 0: present(1), 3: present(2) } });
    const [path = ''] = await saveChain([image]);
    expectSameBytes(await readWithQemu(path), wholeOf(modelOf(image)));
    expectSameBytes(await readWithLibvhdi([path]), wholeOf(modelOf(image)));
  });

  needs(sevenZip, pyvhdi).test('sectors of 4096 bytes: 7-Zip and libvhdi read what was put in', async () => {
    const blocks = { 0: present(1), 5: present(2) };
    const image = buildImage({ logicalSectorSize: 4096, virtualSize: 5 * MiB + 8 * KiB, blocks });
    const [path = ''] = await saveChain([image]);
    expectSameBytes(await readWith7Zip(path), wholeOf(modelOf(image)));
    expectSameBytes(await readWithLibvhdi([path]), wholeOf(modelOf(image)));
  });

  for (const blockSize of [MiB, 32 * MiB, 256 * MiB]) {
    needs(qemuImg, pyvhdi).test(
      `two chunks of blocks of ${blockSize / MiB} MiB: qemu-img and libvhdi agree`,
      async () => {
        const inChunk = (4 * GiB) / blockSize;
        const listed = [0, inChunk - 1, inChunk, inChunk + 1];
        const blocks = Object.fromEntries(listed.map((block) => [block, beginning(block)]));
        const image = buildImage({ blockSize, virtualSize: 4 * GiB + 2 * blockSize, blocks });
        const [path = ''] = await saveChain([image]);
        const model = modelOf(image);
        const raw = await convertWithQemu(path);
        const { size, blocks: used } = await stat(raw);
        expect(size).toBe(model.size);
        // qemu-img writes no zeros, so what the raw file occupies is what was read as something else.
        expect(used * 512).toBe(listed.length * 64 * KiB);
        for (const block of listed) {
          const range = { offset: Math.max(0, block * blockSize - MiB), length: 2 * MiB };
          expectSameBytes(await readRange(raw, range), model.expected(range.offset, range.length));
        }
        const range = { offset: 4 * GiB - 2 * MiB, length: 4 * MiB };
        expectSameBytes(
          await readWithLibvhdi([path], range.offset, range.length),
          model.expected(range.offset, range.length),
        );
      },
    );
  }
});

const base: ImageSpec = {
  blocks: { 0: present(1), 2: present(2), 3: present(3), 5: present(4), 7: present(5) },
  dataWriteGuid: guid(0),
};
const sectors = 2048;
const child: ImageSpec = {
  type: 'differencing',
  dataWriteGuid: guid(1),
  parentLocator: { entries: locatorEntries({ linkage: guid(0), relativePath: '.\\0.vhdx' }) },
  blocks: {
    1: present(6),
    2: { ...present(7), state: STATE.partiallyPresent, bitmap: sectorBits(sectors, [0, 3], [100, 2000], [2047, 2048]) },
    3: { ...present(8), bitmap: sectorBits(sectors, [5, 9]) }, // its bits count for nothing
    5: { ...present(9), state: STATE.partiallyPresent, bitmap: sectorBits(sectors) },
    6: { ...present(10), state: STATE.partiallyPresent, bitmap: sectorBits(sectors, [8, 16], [24, 25]) },
  },
};

function guid(depth: number): string {
  return `0a1b2c3d-4e5f-4071-8293-a4b5c6d7e8${depth.toString(16).padStart(2, '0')}`;
}

describe('differencing images', () => {
  needs(sevenZip, pyvhdi).test('7-Zip and libvhdi read child and grandchild as they were put in', async () => {
    const files = [buildImage(base)];
    let model = modelOf(files[0] as BuiltImage);
    const grandchild: ImageSpec = {
      type: 'differencing',
      blockSize: 2 * MiB,
      parentLocator: { entries: locatorEntries({ linkage: guid(1), relativePath: '.\\1.vhdx' }) },
      blocks: {
        1: { ...present(11), state: STATE.partiallyPresent, bitmap: sectorBits(2 * sectors, [1, 7], [3000, 4096]) },
      },
    };
    for (const spec of [child, grandchild]) {
      const image = buildImage(spec);
      model = modelOf(image, model);
      files.unshift(image);
      const paths = await saveChain(files);
      expectSameBytes(await readWith7Zip(paths[0] as string), wholeOf(model));
      expectSameBytes(await readWithLibvhdi(paths), wholeOf(model));
    }
  });

  needs(sevenZip).test('7-Zip reads zero, undefined and unmapped blocks of a child as zeros', async () => {
    const parent = buildImage(base);
    const image = buildImage({
      ...child,
      blocks: { 0: { state: STATE.zero }, 2: { state: STATE.undefined }, 3: { state: STATE.unmapped } },
    });
    const model = modelOf(image, modelOf(parent));
    const [path = ''] = await saveChain([image, parent]);
    expectSameBytes(model.expected(2 * MiB, 2 * MiB), new Uint8Array(2 * MiB));
    expectSameBytes(await readWith7Zip(path), wholeOf(model));
  });

  needs(pyvhdi).test('libvhdi finds the sector bitmap of the second chunk', async () => {
    const parent = buildImage({
      ...base,
      virtualSize: 4 * GiB + 4 * MiB,
      blocks: { 4095: present(1), 4097: present(2) },
    });
    const partial = (seed: number) => ({
      ...present(seed),
      state: STATE.partiallyPresent,
      bitmap: sectorBits(sectors, [7, 1000]),
    });
    const image = buildImage({
      ...child,
      virtualSize: 4 * GiB + 4 * MiB,
      blocks: { 4095: partial(3), 4097: partial(4) },
    });
    const paths = await saveChain([image, parent]);
    const range = { offset: 4 * GiB - MiB, length: 4 * MiB };
    const expected = modelOf(image, modelOf(parent)).expected(range.offset, range.length);
    expectSameBytes(await readWithLibvhdi(paths, range.offset, range.length), expected);
  });
});

describe('random images', () => {
  // Not for finding new cases, but to show that the generators make what they say: so always the same ones.
  const sampled = (images: fc.Arbitrary<ImageWithModel>) => fc.sample(images, { numRuns: 12, seed: 20240423 });
  const limits = { maxBlockSize: 2 * MiB, sameSize: true } as const;

  needs(qemuImg).test('qemu-img reads them as their models say', async () => {
    for (const { files, size, expected } of sampled(arbitraryImage({ ...limits, logicalSectorSize: 512 }))) {
      const [path = ''] = await saveChain(files);
      expectSameBytes(await readWithQemu(path), expected(0, size));
    }
  });

  needs(sevenZip).test('7-Zip reads chains of them as their models say', async () => {
    for (const { files, size, expected } of sampled(arbitraryChain(limits))) {
      if ((size / files[0].spec.logicalSectorSize) % 2 !== 0) continue;
      const [path = ''] = await saveChain(files);
      expectSameBytes(await readWith7Zip(path), expected(0, size));
    }
  });
});

describe('the sparse file under them', () => {
  needs().test('holds 64 TiB disks with 1 MiB blocks in a few pages', () => {
    const last = 64 * MiB - 1;
    const image = buildImage({ virtualSize: 64 * GiB * KiB, blocks: { [last]: present(1) } });
    expect(image.layout.bat.length).toBe(513 * MiB);
    expect(image.storedBytes).toBeLessThan(2 * MiB);
    expect(image.read(image.layout.blockOffset(last), 64)).toEqual(modelOf(image).expected(last * MiB, 64));
  });
});
