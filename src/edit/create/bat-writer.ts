import { MiB } from '../../base/units.js';
import { BAT_ENTRY_SIZE, type Geometry, PayloadState } from '../../format/bat.js';
import type { WrittenFile } from './new-file.js';
import type { StoredEntries } from './stored-entries.js';

/** Bytes of the BAT that are made and written at a time. */
const CHUNK = 1 * MiB;
const ENTRIES = CHUNK / BAT_ENTRY_SIZE;
/** Chunks that are being written at a time: all the memory that a BAT of any length takes. */
const IN_FLIGHT = 4;

/**
 * What the payload blocks of a new image are that nothing was stored in: all zeros without space in the file, as in the
 * parent, or one after another in the file from an offset on.
 */
export type InitialBlocks = 'zero' | 'parent' | { readonly from: number };

/**
 * Writes the BAT of a new image; the entries of sector bitmap blocks stay zero ([MS-VHDX] 2.5.1.2) unless they are
 * stored.
 *
 * @param stored the entries of what was stored
 * @param batOffset file offset of the BAT region, which reads as zeros
 * @param onChunk called after each chunk with the entries that are on their way; what it throws ends the work
 */
export async function writeInitialBat(
  file: Pick<WrittenFile, 'write'>,
  batOffset: number,
  geometry: Geometry,
  blocks: InitialBlocks,
  stored: StoredEntries,
  onChunk: (entries: number) => void,
): Promise<void> {
  const buffers = Array.from({ length: IN_FLIGHT }, () => ({
    bytes: new Uint8Array(Math.min(CHUNK, geometry.batEntries * BAT_ENTRY_SIZE)),
    written: Promise.resolve(),
  }));
  try {
    for (let first = 0; first < geometry.batEntries; first += ENTRIES) {
      const count = Math.min(ENTRIES, geometry.batEntries - first);
      if (blocks === 'parent' && !stored.hasAny(first, count)) continue;
      const buffer = buffers[(first / ENTRIES) % IN_FLIGHT] as (typeof buffers)[number];
      await buffer.written;
      const part = buffer.bytes.subarray(0, count * BAT_ENTRY_SIZE);
      encodeEntries(part, first, geometry, blocks, stored);
      buffer.written = file.write(part, batOffset + first * BAT_ENTRY_SIZE);
      buffer.written.catch(() => {}); // it is waited for, later
      onChunk(first + count);
    }
    for (const { written } of buffers) await written;
  } finally {
    // A caller that gets an error may close the file: nothing writes to it any more.
    await Promise.allSettled(buffers.map(({ written }) => written));
  }
}

/** The BAT of a new image in pieces of at most 1 MiB. */
export function* initialBat(geometry: Geometry, blocks: InitialBlocks, stored: StoredEntries): Generator<Uint8Array> {
  for (let first = 0; first < geometry.batEntries; first += ENTRIES) {
    const bytes = new Uint8Array(Math.min(ENTRIES, geometry.batEntries - first) * BAT_ENTRY_SIZE);
    encodeEntries(bytes, first, geometry, blocks, stored);
    yield bytes;
  }
}

function encodeEntries(
  bytes: Uint8Array,
  first: number,
  geometry: Geometry,
  blocks: InitialBlocks,
  stored: StoredEntries,
): void {
  fillEntries(bytes, first, geometry, blocks);
  stored.copyTo(bytes, first);
}

/** The 8 bytes of an entry of a block of zeros, in the order of this machine's numbers. */
const ZERO_ENTRY = new BigUint64Array(Uint8Array.of(PayloadState.Zero, 0, 0, 0, 0, 0, 0, 0).buffer)[0] as bigint;

/** Fills bytes with entries from number `first` on. Two 32-bit words each: bigints would take most of the time. */
function fillEntries(bytes: Uint8Array, first: number, geometry: Geometry, blocks: InitialBlocks): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.length / BAT_ENTRY_SIZE;
  const period = geometry.chunkRatio + 1;
  if (blocks !== 'zero') bytes.fill(0);
  if (blocks === 'parent') return; // NOT_PRESENT is 0
  if (blocks === 'zero') {
    // The engine's own loop: a disk of 64 TiB has 67 million of them.
    new BigUint64Array(bytes.buffer, bytes.byteOffset, count).fill(ZERO_ENTRY);
  } else {
    let block = first - Math.floor(first / period);
    for (let i = 0; i < count; i++) {
      if ((first + i) % period === geometry.chunkRatio) continue; // a sector bitmap block's
      const megabyte = (blocks.from + block * geometry.blockSize) / MiB;
      view.setUint32(i * BAT_ENTRY_SIZE, ((megabyte % 4096) << 20) | PayloadState.FullyPresent, true);
      view.setUint32(i * BAT_ENTRY_SIZE + 4, Math.floor(megabyte / 4096), true);
      block += 1;
    }
  }
  const firstBitmap = Math.ceil((first + 1) / period) * period - 1;
  for (let index = firstBitmap; index < first + count; index += period) {
    bytes.fill(0, (index - first) * BAT_ENTRY_SIZE, (index - first + 1) * BAT_ENTRY_SIZE);
  }
}
