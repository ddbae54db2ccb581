import type { Extent, Progress, RandomAccessSource, VhdxDisk } from '../../src/index.js';
import type { Found } from '../protocol.js';

/** Bytes that are read at a time. */
const PIECE = 4 * 1024 * 1024;

/** A window is not made longer than this and a piece of data, so that reading begins before all extents are known. */
const LONGEST = 64 * 1024 * 1024;

/** What is looked for: one of several byte strings, such as a text in two encodings. */
type Patterns = readonly Uint8Array[];

/** A job with its progress. */
interface Job {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: Progress) => void;
}

/** A range that is read; in bytes. */
interface Window {
  readonly start: number;
  readonly end: number;
}

/**
 * Finds the first place at or after an offset where one of some byte strings stands, if there is one up to the end. Holes
 * of a disk are not read, and what is damaged is left out and counted.
 */
export async function search(
  source: RandomAccessSource | VhdxDisk,
  patterns: Patterns,
  from: number,
  { signal, onProgress }: Job,
): Promise<Found> {
  const overlap = Math.max(...patterns.map(({ length }) => length)) - 1;
  const buffer = new Uint8Array(PIECE + overlap);
  let leftOut = 0;
  const windows =
    'extents' in source
      ? windowsOf(source.extents({ offset: from, length: source.size - from, signal }), from, overlap, {
          size: source.size,
          // Only zeros can be found where there is nothing but zeros.
          withHoles: patterns.some(isZero),
          onDamage: (length) => {
            leftOut += length;
          },
        })
      : [{ start: from, end: source.size }];
  for await (const { start, end } of windows) {
    for (let at = start; at < end; at += PIECE) {
      const piece = buffer.subarray(0, Math.min(PIECE + overlap, end - at));
      await source.readInto(piece, at, { signal });
      const found = firstOf(piece, patterns);
      if (found !== undefined) return { offset: at + found, leftOut };
      onProgress({ done: Math.min(end, at + PIECE) - from, total: source.size - from });
    }
  }
  return { leftOut };
}

const isZero = (pattern: Uint8Array) => pattern.every((byte) => byte === 0);

/** How a disk is cut into windows. */
interface Cut {
  readonly size: number;
  readonly withHoles: boolean;
  onDamage(length: number): void;
}

/** What must be read of a disk: its data, and as much beside it as a match may reach out of it, but nothing that is damaged. */
async function* windowsOf(
  extents: AsyncIterable<Extent>,
  from: number,
  overlap: number,
  { size, withHoles, onDamage }: Cut,
): AsyncGenerator<Window> {
  /** Where what can be read begins. */
  let floor = from;
  let open: Window | undefined;
  for await (const { kind, offset, length } of extents) {
    const end = offset + length;
    if (kind === 'damaged') {
      if (open) yield { start: open.start, end: Math.min(offset, open.end + overlap) };
      open = undefined;
      floor = end;
      onDamage(length);
    } else if (kind === 'data' || withHoles) {
      const start = Math.max(floor, offset - overlap);
      if (open && (open.end - open.start >= LONGEST || start > open.end + overlap)) {
        yield { start: open.start, end: Math.min(offset, open.end + overlap) };
        open = undefined;
      }
      open = { start: open?.start ?? start, end };
    }
  }
  if (open) yield { start: open.start, end: Math.min(size, open.end + overlap) };
}

/** The first place in some bytes where one of the patterns stands. */
function firstOf(bytes: Uint8Array, patterns: Patterns): number | undefined {
  const places = patterns.flatMap((pattern) => placeOf(bytes, pattern) ?? []);
  return places.length > 0 ? Math.min(...places) : undefined;
}

function placeOf(bytes: Uint8Array, pattern: Uint8Array): number | undefined {
  // Zeros are everywhere; any other byte leads to few places that are not it.
  const key = Math.max(
    0,
    pattern.findIndex((byte) => byte !== 0),
  );
  for (let at = bytes.indexOf(pattern[key] ?? 0, key); at >= 0; at = bytes.indexOf(pattern[key] ?? 0, at + 1)) {
    const start = at - key;
    if (start + pattern.length > bytes.length) return undefined;
    if (pattern.every((byte, i) => bytes[start + i] === byte)) return start;
  }
  return undefined;
}
