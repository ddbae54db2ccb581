import type { ProgressOptions } from '../../base/options.js';
import { KiB } from '../../base/units.js';
import { Kind, type RawExtent } from '../../core/bat-calls.js';
import { equalBytes } from '../../core/buffer-bytes.js';
import type { LeasedBuffer } from '../../core/buffers.js';
import type { Core } from '../../core/instance.js';
import { isHole, type Segment, segmentsOf } from '../../disk/compare.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { coreBuffers, readAhead } from '../../disk/read-ahead.js';
import type { Extent, RandomAccessSource, ReadOptions } from '../../io/random-access.js';
import type { RangeChange } from './apply-changes.js';

/** A range of a disk, in bytes. */
interface DiskRange {
  readonly offset: number;
  readonly length: number;
}

/** Extents that are translated at a time. */
const BATCH = 1024;
/** Differences are found in units of this many bytes, which are whole sectors. */
const GRANULE = 4 * KiB;

/** The extents of a range of a differencing disk as its own file has them, without its parents. */
async function* ownExtents(
  disk: VhdxDisk,
  { offset, length }: DiskRange,
  options: ReadOptions,
): AsyncGenerator<RawExtent> {
  const end = offset + length;
  for (let at = offset; at < end; ) {
    const batch: RawExtent[] = [];
    at = await disk.member.image.translator.translate(at, end - at, batch, BATCH, options);
    yield* batch;
  }
}

/** The ranges of a differencing disk whose bytes are in its parents. */
export async function* fallThrough(
  disk: VhdxDisk,
  { signal, onProgress }: ReadOptions & ProgressOptions,
): AsyncGenerator<DiskRange> {
  for await (const extent of ownExtents(disk, { offset: 0, length: disk.size }, { signal })) {
    if (extent.kind === Kind.NotPresent) yield extent;
    onProgress?.({ done: extent.offset + extent.length, total: disk.size });
  }
}

/** The ranges that would read differently if a differencing disk had another parent. */
export async function* differences(
  core: Core,
  disk: VhdxDisk,
  other: VhdxDisk,
  { signal, onProgress }: ReadOptions & ProgressOptions,
): AsyncGenerator<DiskRange> {
  const sides = [seenFrom(disk, disk.parent), seenFrom(disk, other)] as const;
  const segments = segmentsOf(...sides, { size: core.buffers.bufferBytes, align: GRANULE, signal });
  const read = async ({ offset, length, holes }: Segment, buffers: readonly LeasedBuffer[]): Promise<void> => {
    const reads = sides.map(async (side, i) => {
      const bytes = buffers[i]?.bytes.subarray(0, length) as Uint8Array;
      if (holes[i]) bytes.fill(0);
      else await side.readInto(bytes, offset, { signal });
    });
    // Both have ended before one of them is reported to have failed.
    for (const result of await Promise.allSettled(reads)) if (result.status === 'rejected') throw result.reason;
  };
  const supply = coreBuffers(core.buffers, 2);
  for await (const { piece, buffer } of readAhead(segments, { supply, isHole, read, signal })) {
    if (buffer) yield* differingRuns(core, piece, buffer);
    onProgress?.({ done: piece.offset + piece.length, total: disk.size });
  }
}

function* differingRuns(
  core: Core,
  { offset, length }: Segment,
  buffers: readonly LeasedBuffer[],
): Generator<DiskRange> {
  const [a, b] = buffers as readonly [LeasedBuffer, LeasedBuffer];
  const same = equalBytes(core, a, b, length);
  let start: number | undefined;
  for (let at = same - (same % GRANULE); at < length; at += GRANULE) {
    const end = Math.min(length, at + GRANULE);
    const differs = a.bytes.subarray(at, end).some((byte, i) => byte !== b.bytes[at + i]);
    if (differs) start ??= at;
    if (start !== undefined && (!differs || end === length)) {
      yield { offset: offset + start, length: (differs ? end : at) - start };
      start = undefined;
    }
  }
}

/** What a parent holds where a disk's bytes are in its parents; zeros everywhere else, and past the end of the parent. */
function seenFrom(disk: VhdxDisk, parent: VhdxDisk | undefined): RandomAccessSource {
  const lengthIn = ({ offset, length }: DiskRange) => Math.max(0, Math.min(length, (parent?.size ?? 0) - offset));
  return {
    size: disk.size,
    ...(parent?.name !== undefined && { name: parent.name }),
    ...(parent?.path !== undefined && { path: parent.path }),
    async readInto(target, offset, options = {}) {
      target.fill(0);
      for await (const extent of ownExtents(disk, { offset, length: target.length }, options)) {
        const there = extent.kind === Kind.NotPresent ? lengthIn(extent) : 0;
        const at = extent.offset - offset;
        if (there > 0) await parent?.readInto(target.subarray(at, at + there), extent.offset, options);
      }
    },
    async *extents(range = {}): AsyncGenerator<Extent> {
      const { signal } = range;
      for await (const own of ownExtents(disk, { offset: 0, length: disk.size }, { signal })) {
        const there = own.kind === Kind.NotPresent ? lengthIn(own) : 0;
        if (there > 0 && parent) yield* parent.extents({ offset: own.offset, length: there, signal });
        const rest = own.length - there;
        if (rest > 0) yield { offset: own.offset + there, length: rest, kind: 'unmapped', depth: 0 };
      }
    },
  };
}

/**
 * What has to be stored so that a disk reads the same whatever its parents hold in some ranges: data, and zeros. Where a
 * whole block reads as zeros, the whole block, because that needs no space.
 */
export async function* changesThatKeep(
  disk: VhdxDisk,
  ranges: AsyncIterable<DiskRange>,
  { signal }: ReadOptions,
): AsyncGenerator<RangeChange> {
  let zeroedTo = 0;
  for await (const { offset, length } of ranges) {
    for await (const extent of disk.extents({ offset, length, signal })) {
      const [start, end] = [extent.offset, extent.offset + extent.length];
      if (extent.kind !== 'zero' && extent.kind !== 'unmapped') {
        yield { offset: start, length: end - start, zeros: false }; // of damage, reading it says what is wrong
        continue;
      }
      const first = await blockOfZeros(disk, start, signal);
      const last = await blockOfZeros(disk, end - 1, signal);
      const from = Math.max(zeroedTo, first?.offset ?? start);
      zeroedTo = Math.max(zeroedTo, last ? last.offset + last.length : end);
      if (zeroedTo > from) yield { offset: from, length: zeroedTo - from, zeros: true };
    }
  }
}

/** The block that a byte is in, if all of it reads as zeros because the images say so; undefined if not. */
async function blockOfZeros(
  disk: VhdxDisk,
  at: number,
  signal: AbortSignal | undefined,
): Promise<DiskRange | undefined> {
  const offset = at - (at % disk.blockSize);
  const length = Math.min(disk.blockSize, disk.size - offset);
  for await (const { kind } of disk.extents({ offset, length, signal })) {
    if (kind !== 'zero' && kind !== 'unmapped') return undefined;
  }
  return { offset, length };
}
