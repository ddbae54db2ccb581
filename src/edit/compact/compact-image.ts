import { viewOf } from '../../base/bytes.js';
import { MiB } from '../../base/units.js';
import { crcOf } from '../../core/crc32c.js';
import { VhdxError } from '../../errors.js';
import {
  BAT_ENTRY_SIZE,
  PayloadState,
  readBatEntry,
  SECTOR_BITMAP_BLOCK_SIZE,
  writeBatEntry,
} from '../../format/bat.js';
import { PAGE_SIZE } from '../../image/page-layer.js';
import type { Freed, WriteSession } from '../../image/session.js';
import type { WriterIdentity } from '../../log/journal.js';
import { batPieces } from '../bat-pieces.js';
import { changeImage, type JobImage } from '../job.js';
import { pagesOf, patchPages } from '../page-patches.js';
import { StoredRegion } from '../stored-region.js';
import type { VhdxTarget } from '../target.js';
import { blocksPast, planMoves } from './compact-moves.js';
import type { CompactOptions, CompactReport } from './compact-report.js';
import { findReleases, type Releases } from './compact-scan.js';
import { Mover } from './mover.js';

const ENTRIES_PER_PAGE = PAGE_SIZE / BAT_ENTRY_SIZE;

/** What `compactVhdx` does; specs say besides where new GUIDs come from. */
export function compactImage(
  target: VhdxTarget,
  options: CompactOptions,
  identity?: WriterIdentity,
): Promise<CompactReport> {
  const { dryRun, signal, onWarning } = options;
  return changeImage(
    target,
    { dryRun, signal, onWarning, durable: true },
    (image) => compact(image, options),
    identity,
  );
}

async function compact(image: JobImage, options: CompactOptions): Promise<CompactReport> {
  const { core, session, space, examination, source } = image;
  refuseFixed(image);
  const fileSizeBefore = source.size;
  const releases = await findReleases(image, options);
  const bat = new StoredRegion(examination.regions.bat, examination, crcOf(core));
  if (session) await release(session, image, bat, releases, options);
  else await releaseInSpace(image, bat, releases, options);

  const { geometry } = examination;
  const movable = { source, geometry, bat, space, released: session ? undefined : releases.entries };
  const blocks = await blocksPast(movable, options);
  const moves = planMoves(movable, blocks, fixedEnd(examination));
  let movedBytes = 0;
  const mover = session && new Mover(image, session, bat, options);
  for (const move of moves) {
    if (mover) await mover.move(move);
    else space.free(move.from, move.length);
    movedBytes += move.length;
    reportMoved(image, blocks.length, movedBytes, options);
  }
  await mover?.end();
  // What nothing refers to at the end of the file is cut off when a session begins, and when it ends.
  if (session && source.size > space.end) await session.begin(false);
  const changes = !releases.isEmpty || movedBytes > 0 || bat.length !== examination.regions.bat.length;
  return {
    fileSizeBefore,
    // The last block of a file that is left alone may be cut short.
    fileSizeAfter: changes ? space.end : Math.min(fileSizeBefore, space.end),
    zeroBlocks: releases.zeroBlocks,
    freeBlocks: releases.freeBlocks,
    movedBytes,
  };
}

/** Progress of the moves: the second half of the bar, after that of the scan. */
function reportMoved(
  { counts, examination }: JobImage,
  blocks: number,
  movedBytes: number,
  { onProgress }: CompactOptions,
): void {
  const { blockSize } = examination.geometry;
  const half = blockSize * counts.fullyPresent;
  onProgress?.({ done: half + Math.floor(half * Math.min(1, movedBytes / (blocks * blockSize))), total: 2 * half });
}

function refuseFixed({ examination, counts }: JobImage): void {
  const { metadata, geometry } = examination;
  if (!metadata.leaveBlocksAllocated || geometry.hasParent || counts.fullyPresent < geometry.payloadBlocks) return;
  const message = 'a fixed image keeps the space of all its blocks: convert it to a dynamic one';
  throw new VhdxError('unsupported-input', message, { structure: 'File Parameters' });
}

/** End of the last structure that stays where it is. */
function fixedEnd({ regions, log }: JobImage['examination']): number {
  const others = regions.all.filter(({ guid }) => guid !== regions.bat.guid);
  return [...others, ...(log ? [log] : [])].reduce((end, { offset, length }) => Math.max(end, offset + length), MiB);
}

/** Bytes that the BAT region needs. */
function neededBatLength({ examination }: JobImage): number {
  return Math.max(MiB, Math.ceil((examination.geometry.batEntries * BAT_ENTRY_SIZE) / MiB) * MiB);
}

/** Gives up the space of entries, page by page, and what the BAT region does not need. */
async function release(
  session: WriteSession,
  image: JobImage,
  bat: StoredRegion,
  releases: Releases,
  { signal }: CompactOptions,
): Promise<void> {
  const { batEntries } = image.examination.geometry;
  const needed = neededBatLength(image);
  if (releases.isEmpty && needed === bat.length) return;
  await session.begin(releases.freeBlocks > 0);
  for (let first = 0; first < batEntries; first += ENTRIES_PER_PAGE) {
    if (!releases.entries.hasAny(first, ENTRIES_PER_PAGE)) continue;
    signal?.throwIfAborted();
    const offset = bat.offset + first * BAT_ENTRY_SIZE;
    const page = viewOf(await session.page(offset));
    const frees = releasedSpace(image, page, first, ENTRIES_PER_PAGE, releases);
    await session.change({
      pages: [offset],
      change: (bytesOf) => releaseEntries(image, viewOf(bytesOf(offset)), first, releases),
      frees,
    });
  }
  if (needed < bat.length) {
    const frees = [{ offset: bat.offset + needed, length: bat.length - needed }];
    const patches = bat.place(bat.offset, needed);
    await session.change({ pages: [...pagesOf(patches)], change: (bytesOf) => patchPages(patches, bytesOf), frees });
  }
  // Its space may be used again once nothing that is durable leads to it.
  await session.flush();
}

async function releaseInSpace(
  image: JobImage,
  bat: StoredRegion,
  releases: Releases,
  options: CompactOptions,
): Promise<void> {
  const { source, space, examination } = image;
  for await (const { first, count, view } of batPieces(
    source,
    bat.offset,
    0,
    examination.geometry.batEntries,
    options,
  )) {
    for (const { offset, length } of releasedSpace(image, view, first, count, releases)) space.free(offset, length);
  }
  const needed = neededBatLength(image);
  if (needed < bat.length) space.free(bat.offset + needed, bat.length - needed);
  bat.place(bat.offset, needed);
}

/** The space that entries have which are to give it up. */
function releasedSpace(
  { examination }: JobImage,
  view: DataView,
  first: number,
  count: number,
  { entries }: Releases,
): Freed[] {
  const { geometry } = examination;
  const freed: Freed[] = [];
  for (let i = 0; i < Math.min(count, geometry.batEntries - first); i++) {
    if (!entries.has(first + i)) continue;
    const isBitmap = (first + i) % (geometry.chunkRatio + 1) === geometry.chunkRatio;
    const length = isBitmap ? SECTOR_BITMAP_BLOCK_SIZE : geometry.blockSize;
    freed.push({ offset: readBatEntry(view, i * BAT_ENTRY_SIZE).offset, length });
  }
  return freed;
}

/** Changes the entries of a page that give up their space. Those that are trimmed stay so, which nothing reads. */
function releaseEntries({ examination }: JobImage, view: DataView, first: number, { entries, free }: Releases): void {
  const { chunkRatio, batEntries } = examination.geometry;
  for (let i = 0; i < Math.min(ENTRIES_PER_PAGE, batEntries - first); i++) {
    if (!entries.has(first + i)) continue;
    const { state } = readBatEntry(view, i * BAT_ENTRY_SIZE);
    writeBatEntry(view, i * BAT_ENTRY_SIZE, { state: stateAfter(first + i, state), offset: 0 });
  }
  function stateAfter(index: number, state: number): number {
    if (index % (chunkRatio + 1) === chunkRatio) return PayloadState.NotPresent;
    if (free.has(index)) return PayloadState.Unmapped;
    return state === PayloadState.FullyPresent ? PayloadState.Zero : state;
  }
}
