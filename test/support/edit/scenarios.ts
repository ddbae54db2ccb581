import { loadCore } from '../../../src/core/load.js';
import { repairFile } from '../../../src/edit/repair/repair-image.js';
import { openVhdx, VhdxError } from '../../../src/index.js';
import type { WriterIdentity } from '../../../src/log/journal.js';
import { sectorBits } from '../block-content.js';
import { buildImage } from '../build-image.js';
import { ContentModel, type Tag, taggedBytes, tagOf } from '../crash/content-model.js';
import { CrashFile, type Fault } from '../crash/crash-file.js';
import { fraction } from '../crash/crash-states.js';
import type { Exploration, Recovery } from '../crash/explore.js';
import { PageImage } from '../crash/page-image.js';
import { readState, type StateView } from '../crash/state-reader.js';
import { KiB, MiB } from '../encode-primitives.js';
import { type BlockSpec, STATE } from '../image-spec.js';
import { countedIdentity, DrivenDisk } from './driven-disk.js';

/** Kinds of image that scenarios begin with; the BAT of a wide one has three pages. */
export type ImageKind = 'dynamic' | 'fixed' | 'differencing' | 'wide';

/** What a scenario did, and how its states are judged. */
export interface Scenario {
  readonly file: CrashFile;
  readonly exploration: Exploration;
}

const SIZE = 6 * MiB;
/** Blocks that random steps are about. */
const BLOCKS: readonly number[] = [0, 1, 2, 3, 4, 5];
const WIDE_BLOCKS: readonly number[] = [0, 1, 600, 601, 1050, 1051];
const SECTOR = 512;
/** Tags of what the images hold before anything is written. */
const BEFORE = 1_000_000;
const PARENT = 2_000_000;
/** What the file holds after its last structure: nothing of it may ever be read. */
const STALE = 0xdeadbeef;

const tagged = (tag: Tag, block: number, length: number = MiB) => taggedBytes(tag, block * MiB, length);

interface Begin {
  readonly image: PageImage;
  readonly parent?: { readonly bytes: Uint8Array; readonly view: StateView };
  /** What a sector holds before anything is written. */
  readonly before: (sector: number) => Tag;
}

const begins = new Map<ImageKind, Begin>();

/** What scenarios of a kind begin with; always the same pages, so that what is known of them is remembered. */
function beginWith(kind: ImageKind): Begin {
  const begin = begins.get(kind) ?? makeBegin(kind);
  begins.set(kind, begin);
  return begin;
}

/** An image of six blocks of 1 MiB, of which some are stored, with stale bytes after its last structure. */
function makeBegin(kind: ImageKind): Begin {
  if (kind === 'differencing') return beginWithChild();
  if (kind === 'wide') return beginWide();
  const blocks: Record<number, BlockSpec> = {
    1: { state: STATE.fullyPresent, data: tagged(BEFORE, 1) },
    2: { state: STATE.unmapped },
    3: { state: STATE.fullyPresent, data: tagged(BEFORE, 3) },
    4: { state: STATE.zero },
  };
  const others = kind === 'fixed' ? { otherBlocks: STATE.fullyPresent } : {};
  const listed = kind === 'fixed' ? { 1: blocks[1] as BlockSpec, 3: blocks[3] as BlockSpec } : blocks;
  const built = buildImage({ type: kind, virtualSize: SIZE, blocks: listed, ...others });
  return {
    image: withStaleTail(built.toUint8Array()),
    before: (sector) => ([1, 3].includes(Math.floor((sector * SECTOR) / MiB)) ? BEFORE : 0),
  };
}

/** A disk of 1,100 blocks, so that what changes together is in several pages of the BAT. */
function beginWide(): Begin {
  const stored = (block: number): BlockSpec => ({ state: STATE.fullyPresent, data: tagged(BEFORE, block) });
  const image = buildImage({ virtualSize: 1100 * MiB, blocks: { 1: stored(1), 600: stored(600) } });
  return {
    image: withStaleTail(image.toUint8Array()),
    before: (sector) => ([1, 600].includes(Math.floor((sector * SECTOR) / MiB)) ? BEFORE : 0),
  };
}

/** A child of which one block is partially present, one fully; bits of an earlier life are set for block 5. */
function beginWithChild(): Begin {
  const stored = (block: number): BlockSpec => ({ state: STATE.fullyPresent, data: tagged(PARENT, block) });
  const parent = buildImage({
    virtualSize: SIZE,
    blocks: { 0: stored(0), 1: stored(1), 2: stored(2), 3: stored(3), 5: stored(5) },
  }).toUint8Array();
  const sectors = MiB / SECTOR;
  const child = buildImage({
    type: 'differencing',
    virtualSize: SIZE,
    blocks: {
      0: { state: STATE.partiallyPresent, data: tagged(BEFORE, 0), bitmap: sectorBits(sectors, [16, 64]) },
      1: { state: STATE.fullyPresent, data: tagged(BEFORE, 1) },
      2: { state: STATE.zero },
      5: { state: STATE.notPresent, bitmap: sectorBits(sectors, [0, sectors]) },
    },
  });
  const before = (sector: number): Tag => {
    const block = Math.floor(sector / sectors);
    const within = sector % sectors;
    if (block === 0) return within >= 16 && within < 64 ? BEFORE : PARENT;
    if (block === 1) return BEFORE;
    return block === 2 || block === 4 ? 0 : PARENT;
  };
  const view = readState(PageImage.of(parent));
  return { image: withStaleTail(child.toUint8Array()), parent: { bytes: parent, view }, before };
}

function withStaleTail(bytes: Uint8Array): PageImage {
  const end = Math.ceil(bytes.length / MiB) * MiB;
  const longer = new Uint8Array(end + 2 * MiB);
  longer.set(bytes);
  longer.set(taggedBytes(STALE, 0, 2 * MiB), end);
  return PageImage.of(longer);
}

// Flushes (at 0) take a while, and metadata takes longest to get to its place: much else goes on meanwhile.
const turns = (offset: number) => {
  if (offset === 0) return 3;
  return offset >= 2 * MiB && offset < 4 * MiB ? 6 : (offset / (4 * KiB)) % 3;
};

/** Opens an image, does something with it and closes it. */
export async function scenario(
  kind: ImageKind,
  run: (disk: DrivenDisk) => Promise<void>,
  { fail }: { readonly fail?: Fault } = {},
): Promise<Scenario> {
  const { image, parent, before } = beginWith(kind);
  const file = new CrashFile(image, { turns, ...(fail && { fail }) });
  await runOn(file, parent, run);
  return { file, exploration: { model: () => new ContentModel(before), ...(parent && { parent: parent.view }) } };
}

async function runOn(
  file: CrashFile,
  parent: Begin['parent'],
  run: (disk: DrivenDisk) => Promise<void>,
  options: { readonly identity?: WriterIdentity; readonly first?: number } = {},
): Promise<void> {
  const disk = await DrivenDisk.open(file, { ...options, ...(parent && { parent: await openVhdx(parent.bytes) }) });
  await run(disk);
  await disk.close();
}

/** Makes some payload and some growth of the file fail for want of space. */
export function shortOfSpace(kind: ImageKind, seed: number): Fault {
  // What is written to the places of pages is no payload; there the session would fail as a whole.
  const { owned } = readState(beginWith(kind).image).bat;
  const bitmap = owned.find(({ what }) => what.startsWith('bitmap'))?.offset;
  let calls = 0;
  let size = Number.POSITIVE_INFINITY; // the first change of the length cuts the file
  return (operation, offset) => {
    if (operation === 'flush' || (operation === 'write' && offset < 4 * MiB)) return undefined;
    const isCut = operation === 'truncate' && offset <= size;
    if (operation === 'truncate') size = offset;
    if (isCut || (bitmap !== undefined && offset >= bitmap && offset < bitmap + MiB)) return undefined;
    calls += 1;
    return fraction(seed, calls) < 0.2 ? new VhdxError('no-space', 'there is no room') : undefined;
  };
}

/** Recovers from a crash as `editVhdx` does, does a few more random operations, and closes the disk. */
export function recoveryOf(kind: ImageKind, seed: number): Recovery['recover'] {
  return async (state, view, depth) => {
    const file = new CrashFile(state.image, { turns });
    // GUIDs and numbers of writes that neither the session before nor another depth uses.
    const identity = countedIdentity(10_000 * depth);
    await repairFile(await loadCore(), file, {}, identity);
    const steps = randomSteps(seed + state.point, kind, 3);
    const { parent } = beginWith(kind);
    await runOn(file, parent, steps, { identity, first: 100_000 * depth });
    const model = () => new ContentModel((sector) => tagOf(view, sector));
    return { file, exploration: { model, random: 24, torn: 8, ...(parent && { parent: parent.view }) } };
  };
}

/** Does so many operations that look random, some at the same time, with flushes between and during them. */
export function randomSteps(seed: number, kind: ImageKind, count: number): (disk: DrivenDisk) => Promise<void> {
  const pick = (limit: number, ...of: readonly number[]) => Math.floor(fraction(seed, ...of) * limit);
  return async (disk) => {
    let running: Promise<void>[] = [];
    for (let i = 0; i < count; i++) {
      const step = randomStep(disk, kind, (limit, of) => pick(limit, i, of));
      running.push(step);
      if (pick(2, i, 9) === 0) await step;
      // A flush during which what comes next goes on.
      if (pick(3, i, 10) === 0) running.push(disk.flush());
      if (pick(4, i, 11) > 0) continue;
      await Promise.all(running);
      running = [];
      if (pick(2, i, 12) === 0) await disk.flush();
    }
    await Promise.all(running);
  };
}

/** One write, zero or trim: at the borders of blocks, pages and sectors, or of a whole block. */
function randomStep(disk: DrivenDisk, kind: ImageKind, pick: (limit: number, of: number) => number): Promise<void> {
  const blocks = kind === 'wide' ? WIDE_BLOCKS : BLOCKS;
  const block = (blocks[pick(blocks.length, 0)] as number) * MiB;
  switch (pick(8, 1)) {
    case 0:
      return disk.zero(block, MiB);
    case 1:
      // A trim changes nothing of a fixed disk, nor of a block of the parent.
      return kind === 'differencing' || kind === 'fixed' ? disk.zero(block, MiB) : disk.trim(block, MiB);
    case 2:
      return disk.write(block, MiB);
    case 3:
      return disk.zero(block + pick(8, 2) * SECTOR, (1 + pick(20, 3)) * SECTOR);
    case 4: {
      // Across the border of two blocks.
      const start = Math.max(0, block - pick(8, 2) * SECTOR);
      return disk.write(start, (8 + pick(8, 3)) * SECTOR);
    }
    default:
      return disk.write(block + pick(40, 2) * SECTOR, (1 + pick(20, 3)) * SECTOR);
  }
}
