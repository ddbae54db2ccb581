import type { Extent, RandomAccessSink, RandomAccessSource, RangeOptions } from '../../index.js';
import type { Claims } from './claims.js';

/**
 * A disk as one of several threads has it: the windows that others were faster to take are holes, and zeros. So all that
 * can be done with a disk can be done by many threads, each with its share: together the shares are the disk.
 *
 * Where the disk can be read at once, it is: a thread has nothing else to do while it waits.
 */
export function shareOf(source: RandomAccessSource, claims: Claims): RandomAccessSource {
  const { size, name, path } = source;
  const fill = async (target: Uint8Array, offset: number): Promise<void> => {
    if (source.readIntoSync) source.readIntoSync(target, offset);
    else await source.readInto(target, offset);
  };
  return {
    size,
    ...(name !== undefined && { name }),
    ...(path !== undefined && { path }),
    readsInFlight: source.readIntoSync ? 1 : undefined,
    // A hole that is too short to be left out is read, and so are windows of others.
    async readInto(target, offset) {
      for (const { from, to } of windowsOf(claims, offset, target.length)) {
        const part = target.subarray(from - offset, to - offset);
        if (claims.isMine(from)) await fill(part, from);
        else part.fill(0);
      }
    },
    extents: (range) => sharedExtents(source, claims, range ?? {}),
  };
}

/**
 * Where a thread writes its share to, into a file that has its length already. Zeros beside data are written with it:
 * not those that stand for what others write.
 */
export function sinkOf(claims: Claims, write: RandomAccessSink['write']): RandomAccessSink {
  return {
    truncate: async () => {},
    async write(bytes, offset) {
      for (const { from, to } of windowsOf(claims, offset, bytes.length)) {
        if (claims.isMine(from)) await write(bytes.subarray(from - offset, to - offset), from);
      }
    },
  };
}

async function* sharedExtents(source: RandomAccessSource, claims: Claims, range: RangeOptions): AsyncGenerator<Extent> {
  const { offset = 0, length = source.size - offset } = range;
  const limit = offset + length;
  const all: Iterable<Extent> = length > 0 ? [{ offset, length, kind: 'data', depth: 0 }] : [];
  for await (const extent of source.extents?.(range) ?? all) {
    if (extent.kind === 'zero' || extent.kind === 'unmapped') {
      yield extent;
      continue;
    }
    for (const { from, to } of windowsOf(claims, extent.offset, extent.length)) {
      if (from >= claims.end) {
        yield hole(from, limit);
        return;
      }
      yield claims.take(from) ? { ...extent, offset: from, length: to - from } : hole(from, to);
    }
  }
}

const hole = (from: number, to: number): Extent => ({ offset: from, length: to - from, kind: 'unmapped', depth: 0 });

/** The parts of a range that are each in one window. */
function* windowsOf(
  claims: Claims,
  offset: number,
  length: number,
): Generator<{ readonly from: number; readonly to: number }> {
  const end = offset + length;
  for (let from = offset; from < end; ) {
    const to = Math.min(end, claims.endOf(from));
    yield { from, to };
    from = to;
  }
}

/** A disk of nothing but zeros. */
export function holesOf(size: number): RandomAccessSource {
  return {
    size,
    async readInto(target) {
      target.fill(0);
    },
    async *extents({ offset = 0, length = size - offset } = {}) {
      if (length > 0) yield hole(offset, offset + length);
    },
  };
}
