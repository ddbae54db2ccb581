import type { ProgressOptions } from '../base/options.js';
import { equalBytes, zeroBytes } from '../core/buffer-bytes.js';
import type { LeasedBuffer } from '../core/buffers.js';
import type { Core } from '../core/instance.js';
import { loadCore } from '../core/load.js';
import { VhdxError } from '../errors.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { RuleCode } from '../rules.js';
import { inFile } from './chain-member.js';
import { VhdxDisk } from './disk.js';
import { type Piece, type PieceOptions, piecesOfSource } from './pieces.js';
import { coreBuffers, readAhead } from './read-ahead.js';

/** A range, and which of the two sides hold something there. */
export interface Segment {
  readonly offset: number;
  readonly length: number;
  readonly holes: readonly [boolean, boolean];
  /** Of a damaged range of the first side that is left out like a hole: the broken rule. */
  readonly damage?: RuleCode;
}

/**
 * Finds the first byte in which two disks differ; undefined if there is none. Each of them is a disk or any other source,
 * such as a raw image; holes are not read of a source that has `extents`. Past the end of the shorter one there are zeros.
 *
 * @throws TypeError when one is no source; VhdxError as reading them does, with the name of the one that failed as `file`
 */
export async function compareDisks(
  a: RandomAccessSource,
  b: RandomAccessSource,
  options: { readonly signal?: AbortSignal | undefined } & ProgressOptions = {},
): Promise<number | undefined> {
  for (const source of [a, b]) {
    if (typeof source?.readInto !== 'function') throw new TypeError('what is compared must be a disk or a source');
  }
  const core = await loadCore();
  const { signal, onProgress } = options;
  const size = core.buffers.bufferBytes;
  const total = Math.max(a.size, b.size);
  const segments = segmentsOf(a, b, { size, signal });
  const read = async ({ offset, length, holes }: Segment, buffers: readonly LeasedBuffer[]): Promise<void> => {
    const reads = [a, b].map(async (source, i) => {
      const bytes = buffers[i]?.bytes.subarray(0, length) as Uint8Array;
      if (holes[i]) return;
      try {
        await source.readInto(bytes, offset, { signal });
      } catch (error) {
        const { path } = source instanceof VhdxDisk ? source.member.place : source;
        throw error instanceof VhdxError ? inFile(error, { file: source.name, path }) : error;
      }
    });
    // Both have ended before one of them is told to have failed.
    for (const result of await Promise.allSettled(reads)) if (result.status === 'rejected') throw result.reason;
  };
  for await (const { piece, buffer } of readAhead(segments, {
    supply: coreBuffers(core.buffers, 2, Math.max(readsOf(a), readsOf(b))),
    isHole,
    read,
    signal,
    leaveReads: true,
  })) {
    const same = buffer ? sameBytes(core, piece, buffer) : piece.length;
    if (same < piece.length) return piece.offset + same;
    onProgress?.({ done: piece.offset + piece.length, total });
  }
  return undefined;
}

/** How many reads of a source at a time are of use. */
const readsOf = ({ readsInFlight = Number.POSITIVE_INFINITY }: RandomAccessSource): number => readsInFlight;

/** How many bytes from the start of a segment on are the same on both sides. */
function sameBytes(core: Core, { length, holes }: Segment, buffers: readonly LeasedBuffer[]): number {
  const [a, b] = buffers as readonly [LeasedBuffer, LeasedBuffer];
  if (!holes[0] && !holes[1]) return equalBytes(core, a, b, length);
  const data = holes[0] ? b : a;
  const zeros = zeroBytes(core, data, 0, length);
  if (zeros === length) return length;
  return zeros + data.bytes.subarray(zeros, length).findIndex((byte) => byte !== 0);
}

/** Whether neither side holds anything. */
export function isHole({ holes }: Segment): boolean {
  return holes[0] && holes[1];
}

/**
 * Cuts two sources into the same segments, and between them the longer one to its end. Damage is left out, if that is
 * asked for, of the first alone.
 */
export async function* segmentsOf(
  a: RandomAccessSource,
  b: RandomAccessSource,
  { skipDamage, ...options }: PieceOptions,
): AsyncGenerator<Segment> {
  const total = Math.max(a.size, b.size);
  const sides = [sidePieces(a, total, { ...options, skipDamage }), sidePieces(b, total, options)] as const;
  const pieces = [await sides[0].next(), await sides[1].next()] as [IteratorResult<Piece>, IteratorResult<Piece>];
  let at = 0;
  while (!pieces[0].done && !pieces[1].done) {
    const [a, b] = [pieces[0].value as Piece, pieces[1].value as Piece];
    const end = Math.min(a.offset + a.length, b.offset + b.length);
    const { damage } = a;
    yield { offset: at, length: end - at, holes: [a.hole, b.hole], ...(damage !== undefined && { damage }) };
    at = end;
    if (a.offset + a.length === end) pieces[0] = await sides[0].next();
    if (b.offset + b.length === end) pieces[1] = await sides[1].next();
  }
}

/** The pieces of a source, and a hole from its end to that of the other one. */
async function* sidePieces(source: RandomAccessSource, total: number, options: PieceOptions): AsyncGenerator<Piece> {
  yield* piecesOfSource(source, options);
  if (source.size < total) yield { offset: source.size, length: total - source.size, hole: true };
}
