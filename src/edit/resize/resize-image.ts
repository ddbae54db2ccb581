import { MiB, TiB } from '../../base/units.js';
import { type Advice, VhdxError } from '../../errors.js';
import { computeGeometry, type Geometry } from '../../format/bat.js';
import { encodeVirtualDiskSize } from '../../format/metadata.js';
import { PAGE_SIZE } from '../../image/page-layer.js';
import type { Freed, WriteSession } from '../../image/session.js';
import type { Allocation } from '../../image/space.js';
import { MAX_PAGES, type WriterIdentity } from '../../log/journal.js';
import { writeBatCopy } from '../bat-move.js';
import { changeImage, type JobImage, type JobOptions } from '../job.js';
import { itemChange, itemPatches } from '../metadata-writer.js';
import { type Patch, pagesOf, patchPages } from '../page-patches.js';
import { StoredRegion } from '../stored-region.js';
import type { VhdxTarget } from '../target.js';
import { zeroOldTail } from './old-tail.js';
import type { ResizeOptions, ResizeReport } from './resize-report.js';
import { type AddedBlocks, ResizedBat } from './resized-bat.js';
import { spacePastEnd } from './space-past-end.js';

const SHRINK: Advice = {
  hint: 'shrink',
  text: 'the option shrink makes it smaller, and what is past the new end is lost',
};

const MAX_SIZE = 64 * TiB;

/** What `resizeVhdx` does; specs say besides where new GUIDs come from. */
export function resizeImage(
  target: VhdxTarget,
  size: number,
  options: ResizeOptions & Pick<JobOptions, 'dataWriteGuid'>,
  identity?: WriterIdentity,
): Promise<ResizeReport> {
  return changeImage(target, options, (image) => resize(image, size, options), identity);
}

async function resize(image: JobImage, size: number, options: ResizeOptions): Promise<ResizeReport> {
  const { geometry: before } = image.examination;
  const fileSizeBefore = image.source.size;
  checkSize(size, before);
  const after = computeGeometry({ ...before, virtualSize: size });
  if (size < before.virtualSize && options.shrink !== true) {
    const message = `the disk has ${before.virtualSize} bytes and would get smaller, ${size} bytes`;
    throw new VhdxError('needs-shrink', message, { advice: [SHRINK] });
  }
  const isSame = size === before.virtualSize;
  const grows = size > before.virtualSize;
  const done = isSame ? {} : await (grows ? grow(image, after, options) : shrink(image, after, options));
  return {
    sizeBefore: before.virtualSize,
    sizeAfter: size,
    fileSizeBefore,
    fileSizeAfter: isSame ? fileSizeBefore : image.space.end,
    batMoved: false,
    lostBytes: 0,
    ...done,
  };
}

function checkSize(size: number, { logicalSectorSize, virtualSize, hasParent }: Geometry): void {
  if (!Number.isSafeInteger(size) || size < logicalSectorSize || size > MAX_SIZE || size % logicalSectorSize !== 0) {
    throw new RangeError(
      `size is ${size}, not a multiple of ${logicalSectorSize} from ${logicalSectorSize} to ${MAX_SIZE}`,
    );
  }
  if (hasParent && virtualSize % logicalSectorSize !== 0) {
    const message = `the disk has ${virtualSize} bytes: where its last sector is, here or in the parent, is not known`;
    throw new VhdxError('virtual-disk-size-alignment', message, { structure: 'Virtual Disk Size' });
  }
}

/** The size of the disk, in its place. */
function sizePatches({ examination }: JobImage, { virtualSize }: Geometry): Patch[] {
  return itemPatches(examination, [itemChange('Virtual Disk Size', encodeVirtualDiskSize(virtualSize))]);
}

async function grow(image: JobImage, after: Geometry, options: ResizeOptions): Promise<Partial<ResizeReport>> {
  const { session, space, examination } = image;
  const { geometry: before } = examination;
  const taken: { readonly offset: number; readonly length: number }[] = [];
  const allocate = async (length: number): Promise<Allocation> => {
    const allocation = session ? await session.allocate(length) : space.allocate(length);
    taken.push({ offset: allocation.offset, length });
    return allocation;
  };
  try {
    await session?.begin(true);
    const tail = await zeroOldTail(image, { before, after, allocate });
    const added = await addBlocks(image, after, allocate);
    const bat = new ResizedBat(before, after, added, tail.entries);
    const patches = [...tail.patches, ...sizePatches(image, after)];
    const end = Math.max(0, ...taken.map(({ offset, length }) => offset + length));
    const batMoved = bat.length > examination.regions.bat.length;
    if (batMoved) await moveBat(image, bat, patches, { end, allocate, ...options });
    else await growInPlace(image, bat, patches, { end, ...options });
    await session?.flush();
    return { batMoved };
  } catch (error) {
    // Nothing refers to it: what does is changed last, and in one step.
    for (const { offset, length } of taken) session?.release(offset, length);
    throw error;
  }
}

/** Gives a fixed disk the space of its new blocks. One that lacks some of its blocks is written like a dynamic one. */
async function addBlocks(
  { session, counts, examination }: JobImage,
  after: Geometry,
  allocate: (length: number) => Promise<Allocation>,
): Promise<AddedBlocks> {
  const { geometry: before, metadata } = examination;
  const blocks = after.payloadBlocks - before.payloadBlocks;
  const isFixed = metadata.leaveBlocksAllocated && !before.hasParent && counts.fullyPresent === before.payloadBlocks;
  if (!isFixed || blocks === 0) return 'zero';
  const length = blocks * before.blockSize;
  const { offset, zeros } = await allocate(length);
  const bytes = new Uint8Array(MiB);
  for (let at = 0; session && !zeros && at < length; at += MiB) await session.writePayload(bytes, offset + at);
  return { from: offset };
}

interface GrowOptions extends ResizeOptions {
  /** End of the space that is taken, in bytes. */
  readonly end: number;
}

/**
 * Slots that no reader looks at yet change in groups; then those that count already, because an old bitmap block or
 * block has its entry in the same page, together with the size.
 */
async function growInPlace(
  { session, examination }: JobImage,
  bat: ResizedBat,
  patches: readonly Patch[],
  { end, signal, onProgress }: GrowOptions,
): Promise<void> {
  if (!session) return;
  const { offset } = examination.regions.bat;
  await changeSlots(session, offset, bat, bat.otherPages(), { signal, onProgress });
  signal?.throwIfAborted();
  await changeWithSize(session, offset, bat, patches, { end });
}

/** Changes pages of slots in groups, those that would stay the same left out. */
async function changeSlots(
  session: WriteSession,
  batOffset: number,
  bat: ResizedBat,
  pages: readonly number[],
  { signal, onProgress }: Pick<ResizeOptions, 'signal' | 'onProgress'>,
): Promise<void> {
  const firstSlot = (page: number) => (page * PAGE_SIZE) / 8;
  let group: number[] = [];
  const changeGroup = async () => {
    const offsets = new Map(group.map((page) => [batOffset + page * PAGE_SIZE, firstSlot(page)]));
    group = [];
    await session.change({
      pages: [...offsets.keys()],
      change: (bytesOf) => {
        for (const [offset, first] of offsets) bat.fill(bytesOf(offset), first);
      },
    });
  };
  for (const [done, page] of pages.entries()) {
    signal?.throwIfAborted();
    const bytes = await session.page(batOffset + page * PAGE_SIZE);
    const filled = bytes.slice();
    bat.fill(filled, firstSlot(page));
    if (filled.every((byte, i) => byte === bytes[i])) continue;
    if (group.push(page) < MAX_PAGES) continue;
    await changeGroup();
    onProgress?.({ done: done * PAGE_SIZE, total: pages.length * PAGE_SIZE });
  }
  if (group.length > 0) await changeGroup();
}

/** Changes the size, and everything that must change with it, at once. */
function changeWithSize(
  session: WriteSession,
  batOffset: number,
  bat: ResizedBat,
  patches: readonly Patch[],
  { end, frees }: { readonly end?: number; readonly frees?: readonly Freed[] },
): Promise<void> {
  const slots = bat.sharedPages().map((page) => [batOffset + page * PAGE_SIZE, (page * PAGE_SIZE) / 8] as const);
  return session.change({
    pages: [...new Set([...slots.map(([offset]) => offset), ...pagesOf(patches)])],
    change: (bytesOf) => {
      for (const [offset, first] of slots) bat.fill(bytesOf(offset), first);
      patchPages(patches, bytesOf);
    },
    ...(end !== undefined && { end }),
    ...(frees && { frees }),
  });
}

/** The BAT is written to a new place as a whole; then both region tables and the size change in one step. */
async function moveBat(
  image: JobImage,
  bat: ResizedBat,
  patches: readonly Patch[],
  { end, allocate, signal, onProgress }: GrowOptions & { allocate: (length: number) => Promise<Allocation> },
): Promise<void> {
  const { session, examination, source, space } = image;
  const { offset: oldOffset, length: oldLength } = examination.regions.bat;
  const length = Math.ceil(bat.length / MiB) * MiB;
  const { offset } = await allocate(length);
  if (!session) {
    space.free(oldOffset, oldLength);
    return;
  }
  const old = { source, offset: oldOffset, length: oldLength };
  await writeBatCopy(
    session,
    old,
    offset,
    length,
    (bytes, first) => bat.fill(bytes, first),
    (done) => {
      signal?.throwIfAborted();
      onProgress?.({ done, total: length });
    },
  );
  const all = [
    ...new StoredRegion(examination.regions.bat, examination, session.crc).place(offset, length),
    ...patches,
  ];
  await session.change({
    pages: [...pagesOf(all)],
    change: (bytesOf) => patchPages(all, bytesOf),
    frees: [{ offset: oldOffset, length: oldLength }],
    end: Math.max(end, offset + length),
  });
}

/** The size changes first, with the slots that count afterwards; then no reader looks at the rest of the slots. */
async function shrink(
  image: JobImage,
  after: Geometry,
  { signal, onProgress }: ResizeOptions,
): Promise<Partial<ResizeReport>> {
  const { session, examination, space } = image;
  const { lostBytes, frees } = await spacePastEnd(image, after, { signal });
  if (!session) {
    for (const { offset, length } of frees) space.free(offset, length);
    return { lostBytes };
  }
  await session.begin(true);
  const { offset } = examination.regions.bat;
  const bat = new ResizedBat(examination.geometry, after, 'zero');
  await changeWithSize(session, offset, bat, sizePatches(image, after), { frees });
  await session.flush();
  // From here on the disk has its new size: an abort would say otherwise.
  await changeSlots(session, offset, bat, bat.otherPages(), { onProgress });
  await session.flush();
  return { lostBytes };
}
