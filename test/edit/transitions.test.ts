// What becomes of a block: every state, with and without a parent, and everything that can be asked for ([MS-VHDX] 2.5.1.1).
import { describe, expect, test } from 'vitest';
import { editVhdx, openVhdx, type WritableVhdxDisk } from '../../src/index.js';
import type { RandomAccessFile } from '../../src/io/random-access.js';
import { sectorBits } from '../support/block-content.js';
import { type BuiltImage, buildImage } from '../support/build-image.js';
import { bytesOf, viewOf } from '../support/edit/judged-image.js';
import { memoryCopy } from '../support/edit/memory-chain.js';
import { KiB, MiB } from '../support/encode-primitives.js';
import { type BlockSpec, type ImageSpec, STATE } from '../support/image-spec.js';
import { expectSameBytes } from '../support/same-bytes.js';

const SECTORS = MiB / 512;
/** A part of a block that is of whole sectors, and one that is not. */
const PARTS = [
  { at: 8 * KiB, length: 4 * KiB },
  { at: 8 * KiB + 100, length: 1000 },
] as const;

const ASKED = ['write part', 'write whole', 'zero part', 'zero whole', 'trim part', 'trim whole'] as const;
type Asked = (typeof ASKED)[number];

/** Which state a block has afterwards, by the one that it had; a row for what is asked. */
type Table = Record<Asked, Readonly<Record<number, number>>>;

const WITHOUT_PARENT: Table = {
  'write part': { 0: 6, 1: 6, 2: 6, 3: 6, 6: 6 },
  'write whole': { 0: 6, 1: 6, 2: 6, 3: 6, 6: 6 },
  'zero part': { 0: 2, 1: 2, 2: 2, 3: 2, 6: 6 },
  'zero whole': { 0: 2, 1: 2, 2: 2, 3: 2, 6: 2 },
  'trim part': { 0: 0, 1: 1, 2: 2, 3: 3, 6: 6 },
  'trim whole': { 0: 0, 1: 1, 2: 2, 3: 3, 6: 3 },
};

const FIXED: Table = {
  'write part': { 6: 6 },
  'write whole': { 6: 6 },
  'zero part': { 6: 6 },
  'zero whole': { 6: 6 },
  'trim part': { 6: 6 },
  'trim whole': { 6: 6 },
};

const WITH_PARENT: Table = {
  'write part': { 0: 7, 1: 6, 2: 6, 3: 6, 6: 6, 7: 7 },
  'write whole': { 0: 6, 1: 6, 2: 6, 3: 6, 6: 6, 7: 6 },
  'zero part': { 0: 7, 1: 2, 2: 2, 3: 2, 6: 6, 7: 7 },
  'zero whole': { 0: 2, 1: 2, 2: 2, 3: 2, 6: 2, 7: 2 },
  'trim part': { 0: 0, 1: 1, 2: 2, 3: 3, 6: 6, 7: 7 },
  'trim whole': { 0: 0, 1: 1, 2: 2, 3: 3, 6: 3, 7: 3 },
};

const PARENT: ImageSpec = {
  virtualSize: 4 * MiB,
  blocks: Object.fromEntries([0, 1, 2, 3].map((i) => [i, { state: STATE.fullyPresent, data: 0xa0 + i }])),
};

interface Kind {
  readonly name: string;
  readonly table: Table;
  readonly isChild: boolean;
  /** The image whose block 1 is in a state; block 3 is another one that must stay as it is. */
  readonly spec: (block: BlockSpec) => ImageSpec;
}

const other: BlockSpec = { state: STATE.fullyPresent, data: 0x33 };

const KINDS: readonly Kind[] = [
  {
    name: 'a dynamic disk',
    table: WITHOUT_PARENT,
    isChild: false,
    spec: (block) => ({ virtualSize: 4 * MiB, blocks: { 1: block, 3: other } }),
  },
  {
    name: 'a fixed disk',
    table: FIXED,
    isChild: false,
    spec: (block) => ({ type: 'fixed', virtualSize: 4 * MiB, blocks: { 1: block, 3: other } }),
  },
  {
    name: 'a child whose chunk has no bitmap',
    table: Object.fromEntries(
      Object.entries(WITH_PARENT).map(([asked, { 7: _, ...row }]) => [asked, row]),
    ) as unknown as Table,
    isChild: true,
    spec: (block) => ({ type: 'differencing', virtualSize: 4 * MiB, blocks: { 1: block, 3: other } }),
  },
  {
    name: 'a child with bits of earlier lives',
    table: WITH_PARENT,
    isChild: true,
    spec: (block) => ({
      type: 'differencing',
      virtualSize: 4 * MiB,
      blocks: {
        // The bits of a block that is partially present say which sectors; those of others mean nothing.
        1: { ...block, bitmap: sectorBits(SECTORS, [block.state === 7 ? 18 : 0, block.state === 7 ? 60 : SECTORS]) },
        3: other,
        2: { state: STATE.notPresent, bitmap: sectorBits(SECTORS, [0, SECTORS]) },
      },
    }),
  },
];

/** A block in a state; one that is undefined or unmapped still owns a place with something in it, if `anchored`. */
function blockIn(state: number, anchored: boolean): BlockSpec {
  const hasData = state >= STATE.fullyPresent || (anchored && (state === 1 || state === 3));
  return hasData ? { state, data: 0x11 } : { state };
}

const CASES = KINDS.flatMap((kind) =>
  ASKED.flatMap((asked) =>
    Object.entries(kind.table[asked]).map(([state, becomes]) => ({
      kind,
      name: kind.name,
      asked,
      state: Number(state),
      becomes,
    })),
  ),
);

/** Asks a disk for something about block 1, and does the same to its bytes. */
async function ask(
  disk: WritableVhdxDisk,
  asked: Asked,
  state: number,
  content: Uint8Array,
  kind: Kind,
): Promise<void> {
  const [what, extent] = asked.split(' ') as ['write' | 'zero' | 'trim', 'part' | 'whole'];
  const ranges = extent === 'whole' ? [{ at: 0, length: MiB }] : PARTS;
  for (const { at, length } of ranges) {
    const [start, end] = [MiB + at, MiB + at + length];
    if (what === 'write') {
      content.fill(0x77, start, end);
      await disk.write(new Uint8Array(length).fill(0x77), start);
    } else {
      const changes = what === 'zero' || (extent === 'whole' && state >= 6 && kind.table !== FIXED);
      if (changes) content.fill(0, start, end);
      await disk[what](start, length);
    }
  }
}

describe('a block', () => {
  test.each(CASES)('of $name, in state $state, becomes $becomes: $asked', async ({ kind, asked, state, becomes }) => {
    const parent = buildImage(PARENT).toUint8Array();
    const parentView = viewOf(parent);
    for (const anchored of state === 1 || state === 3 ? [false, true] : [false]) {
      const image = buildImage(kind.spec(blockIn(state, anchored)));
      const file = await memoryCopy(image);
      const options = kind.isChild ? { parent } : {};
      const disk = await editVhdx(file, options);
      const content = await disk.read(0, disk.size);
      const before = await bytesOf(file);
      await ask(disk, asked, state, content, kind);
      expectSameBytes(await disk.read(0, disk.size), content);
      await disk.close();

      const bytes = await bytesOf(file);
      const view = viewOf(bytes, kind.isChild ? parentView : undefined);
      const entry = view.bat.block(1);
      expect(entry.state).toBe(becomes);
      if (becomes < 6 && becomes !== state) expect(entry.offset, 'space is given back').toBe(0);
      for (let page = 0; page * 4096 < content.length; page++) {
        expectSameBytes(view.page(page), content.subarray(page * 4096, (page + 1) * 4096));
      }
      const isNothing = asked.startsWith('trim') && becomes === state;
      if (isNothing) expectSameBytes(bytes, before);
      const read = await openVhdx(bytes, options);
      expectSameBytes(await read.read(0, read.size), content);
    }
  });
});

async function child(virtualSize: number): Promise<{ file: RandomAccessFile; parent: Uint8Array }> {
  const parent: BuiltImage = buildImage({ ...PARENT, virtualSize: 4 * MiB });
  return {
    file: await memoryCopy(buildImage({ type: 'differencing', virtualSize, blocks: {} })),
    parent: parent.toUint8Array(),
  };
}

describe('a block of a child', () => {
  test('gets what a write lacks of a sector from the parent', async () => {
    const { file, parent } = await child(4 * MiB);
    const disk = await editVhdx(file, { parent });
    await disk.write(new Uint8Array(100).fill(0x77), 2 * MiB + 700);
    await disk.close();
    const view = viewOf(await bytesOf(file), viewOf(parent));
    expect(view.inFile(2 * SECTORS, 8)).toBe(0b10);
    const expected = new Uint8Array(4096).fill(0xa2).fill(0x77, 700, 800);
    expectSameBytes(view.page((2 * MiB) / 4096), expected);
  });

  test('has no bits after the end of the disk, and is fully present when all of its sectors are', async () => {
    const size = 3 * MiB + 16 * KiB;
    const { file, parent } = await child(size);
    const disk = await editVhdx(file, { parent });
    await disk.write(new Uint8Array(8 * KiB).fill(1), 3 * MiB);
    await disk.flush();
    const partial = viewOf(await bytesOf(file), viewOf(parent));
    expect(partial.bat.block(3).state).toBe(7);
    const at = partial.bat.bitOffset(3 * SECTORS);
    expect([...partial.image.read(at, 6)]).toEqual([0xff, 0xff, 0, 0, 0, 0]);
    await disk.write(new Uint8Array(8 * KiB).fill(2), 3 * MiB + 8 * KiB);
    await disk.close();
    expect(viewOf(await bytesOf(file), viewOf(parent)).bat.block(3).state).toBe(6);
  });
});
