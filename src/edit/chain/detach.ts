import { viewOf } from '../../base/bytes.js';
import {
  BAT_ENTRY_SIZE,
  bitmapEntryIndex,
  PayloadState,
  readBatEntry,
  SECTOR_BITMAP_BLOCK_SIZE,
  writeBatEntry,
} from '../../format/bat.js';
import { encodeFileParameters } from '../../format/metadata.js';
import { PAGE_SIZE } from '../../image/page-layer.js';
import type { Freed } from '../../image/session.js';
import { changeItems, itemChange } from '../metadata-writer.js';
import type { WritableVhdxDisk } from '../writable/writable-disk.js';
import { fallThrough } from './fall-through.js';

/** A slot of the BAT and what it becomes. */
interface SlotChange {
  /** From the start of the page, in bytes. */
  readonly at: number;
  readonly state: number;
  readonly offset: number;
}

/**
 * Makes a disk that holds all of its bytes itself one without a parent: blocks with sector bitmaps become blocks without,
 * then the sector bitmap blocks are given back, and last, in one step, the image says that it has no parent. What it
 * reads as is the same at every moment. Nothing may read or write the disk meanwhile, or afterwards but to close it.
 */
export async function detach(
  disk: WritableVhdxDisk,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<void> {
  for await (const { offset } of fallThrough(disk, options)) {
    throw new Error(`detach: the bytes at ${offset} are in the parent`);
  }
  await disk.session.begin(true);
  await eachBatPage(disk, options, ({ state, offset }, isBitmap) =>
    !isBitmap && state === PayloadState.PartiallyPresent ? { state: PayloadState.FullyPresent, offset } : undefined,
  );
  await eachBatPage(disk, options, ({ state }, isBitmap) =>
    isBitmap && state === PayloadState.FullyPresent ? { state: PayloadState.NotPresent, offset: 0 } : undefined,
  );
  const { examination } = disk.member.image;
  const changes = [
    itemChange('File Parameters', await fileParametersWithoutParent(disk)),
    itemChange('Parent Locator', undefined),
  ];
  await changeItems(disk.session, examination, changes, true);
}

/** Changes slots of the BAT, a page at a time. A sector bitmap block whose slot changes is given back. */
async function eachBatPage(
  disk: WritableVhdxDisk,
  { signal }: { readonly signal?: AbortSignal | undefined },
  change: (
    entry: { readonly state: number; readonly offset: number },
    isBitmap: boolean,
  ) => Pick<SlotChange, 'state' | 'offset'> | undefined,
): Promise<void> {
  const { geometry, batOffset } = disk.member.image.layout;
  const { session } = disk;
  for (let first = 0; first < geometry.batEntries; first += PAGE_SIZE / BAT_ENTRY_SIZE) {
    signal?.throwIfAborted();
    const page = batOffset + first * BAT_ENTRY_SIZE;
    const view = viewOf(await session.page(page));
    const slots: SlotChange[] = [];
    const frees: Freed[] = [];
    for (let i = 0; i < PAGE_SIZE / BAT_ENTRY_SIZE && first + i < geometry.batEntries; i++) {
      const entry = readBatEntry(view, i * BAT_ENTRY_SIZE);
      const chunk = Math.floor((first + i) / (geometry.chunkRatio + 1));
      const isBitmap = first + i === bitmapEntryIndex(geometry, chunk);
      const next = change(entry, isBitmap);
      if (!next) continue;
      slots.push({ at: i * BAT_ENTRY_SIZE, ...next });
      if (isBitmap) frees.push({ offset: entry.offset, length: SECTOR_BITMAP_BLOCK_SIZE });
    }
    if (slots.length === 0) continue;
    await session.change({
      pages: [page],
      change: (bytesOf) => {
        const bytes = viewOf(bytesOf(page));
        for (const { at, ...entry } of slots) writeBatEntry(bytes, at, entry);
      },
      frees,
    });
  }
}

async function fileParametersWithoutParent({ session, member }: WritableVhdxDisk): Promise<Uint8Array> {
  const { metadata, metadataEntries = [] } = member.image.examination;
  const item = metadataEntries.find(({ name }) => name === 'File Parameters');
  if (!item) throw new Error('detach: there is no File Parameters item');
  const present = new Uint8Array(item.length);
  await session.source.readInto(present, item.offset);
  // LeaveBlocksAllocated had no meaning so far; it would make the disk a fixed one.
  const file = { blockSize: metadata.blockSize, leaveBlocksAllocated: false, hasParent: false };
  return encodeFileParameters(file, viewOf(present).getUint32(4, true));
}
