import {
  BAT_ENTRY_SIZE,
  type Geometry,
  PayloadState,
  readBatEntry,
  SECTOR_BITMAP_BLOCK_SIZE,
} from '../../format/bat.js';
import type { Freed } from '../../image/session.js';
import type { ReadOptions } from '../../io/random-access.js';
import { batPieces } from '../bat-pieces.js';
import type { JobImage } from '../job.js';

/** What a disk that gets smaller loses. */
export interface PastEnd {
  /** Space of blocks that are not on the disk any more, and of their sector bitmap blocks; neighbours joined. */
  readonly frees: readonly Freed[];
  /** How much of the disk after its new end is stored in blocks of this file, in bytes. */
  readonly lostBytes: number;
}

/** Goes through the BAT entries of blocks that are past the new end of a disk. */
export async function spacePastEnd(
  { examination, source }: Pick<JobImage, 'examination' | 'source'>,
  after: Geometry,
  options: ReadOptions,
): Promise<PastEnd> {
  const { geometry: before, regions } = examination;
  const { chunkRatio, blockSize } = before;
  const frees: { offset: number; length: number }[] = [];
  let lostBytes = 0;
  const free = (offset: number, length: number) => {
    const last = frees.at(-1);
    if (last && last.offset + last.length === offset) last.length += length;
    else frees.push({ offset, length });
  };
  const lastBlock = after.payloadBlocks - 1;
  const start = lastBlock + Math.floor(lastBlock / chunkRatio);
  for await (const { first, count, view } of batPieces(source, regions.bat.offset, start, before.batEntries, options)) {
    for (let i = 0; i < count; i++) {
      const index = first + i;
      const { state, offset } = readBatEntry(view, i * BAT_ENTRY_SIZE);
      const chunk = Math.floor(index / (chunkRatio + 1));
      if (index % (chunkRatio + 1) === chunkRatio) {
        if (state === PayloadState.FullyPresent && chunk >= after.chunks) free(offset, SECTOR_BITMAP_BLOCK_SIZE);
        continue;
      }
      const start = (index - chunk) * blockSize;
      const isStored = state === PayloadState.FullyPresent || state === PayloadState.PartiallyPresent;
      const end = Math.min(start + blockSize, before.virtualSize);
      if (isStored && end > after.virtualSize) lostBytes += end - Math.max(start, after.virtualSize);
      const isAnchor = state === PayloadState.Undefined || state === PayloadState.Unmapped;
      if (start >= after.virtualSize && offset > 0 && (isStored || isAnchor)) free(offset, blockSize);
    }
  }
  return { frees, lostBytes };
}
