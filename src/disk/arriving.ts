import type { Extent } from '../io/random-access.js';
import type { ArrivingSource } from '../io/sequential-reads.js';
import type { Member } from './member.js';
import type { Span } from './pieces.js';

/** Chunks that are on their way. */
interface Chunks extends AsyncIterableIterator<Uint8Array, void> {
  return(): Promise<IteratorResult<Uint8Array, void>>;
}

/** A part of a range: data that arrives in chunks of its source's own, or whatever is to be read in pieces. */
export interface Run extends Span {
  /** To be taken to its end, or returned, before the next run is asked for. */
  readonly chunks: Chunks | undefined;
}

/**
 * Cuts a range of a disk into runs, in order. The next that arrives is asked for while one is taken, so that no time
 * passes between two pieces of a file that do not follow one another.
 *
 * @param extents what is in the range
 * @param long the length in bytes from which data in one piece of a file is taken as it arrives
 * @param signal to be aborted when no more is wanted, and before
 */
export async function* runsOf(
  member: Member,
  extents: AsyncIterable<Extent>,
  range: Span,
  long: number,
  signal: AbortSignal,
): AsyncGenerator<Run, void> {
  const plans = plansOf(member, extents, range, long);
  const begin = async (): Promise<Run | undefined> => {
    const { done, value } = await plans.next();
    return done ? undefined : { ...value, chunks: value.chunks && begun(value.chunks(signal)) };
  };
  let next = begin();
  try {
    for (let run = await next; run !== undefined; run = await next) {
      next = begin();
      next.catch(() => undefined); // reported when its turn comes
      yield run;
    }
  } finally {
    next.then((run) => run?.chunks?.return()).catch(() => undefined);
  }
}

interface Plan extends Span {
  readonly chunks?: (signal: AbortSignal) => AsyncGenerator<Uint8Array, void>;
}

async function* plansOf(
  member: Member,
  extents: AsyncIterable<Extent>,
  { offset, length }: Span,
  long: number,
): AsyncGenerator<Plan, void> {
  let start = offset;
  for await (const extent of extents) {
    const chunks = extent.length >= long ? chunksOfExtent(member, extent) : undefined;
    if (!chunks) continue;
    if (extent.offset > start) yield { offset: start, length: extent.offset - start };
    yield { offset: extent.offset, length: extent.length, chunks };
    start = extent.offset + extent.length;
  }
  if (start < offset + length) yield { offset: start, length: offset + length - start };
}

/** How the bytes of an extent arrive; undefined if it is no data, or its file has to be read in pieces. */
function chunksOfExtent(top: Member, { kind, depth, fileOffset, length }: Extent): Plan['chunks'] {
  if (kind !== 'data' || fileOffset === undefined) return undefined;
  const members = [top];
  for (let member = top.parent; member && members.length <= depth; member = member.parent) members.push(member);
  const source: ArrivingSource | undefined = members[depth]?.image.source;
  if (!source?.arriving) return undefined;
  return async function* (signal) {
    try {
      yield* source.arriving?.(fileOffset, length, signal) ?? [];
    } catch (error) {
      // As a read would tell it, which goes through the parents one by one.
      throw members.slice(1).reduceRight((told, member) => member.named(told), error);
    }
  };
}

/** Asks for the first chunk at once. */
function begun(chunks: AsyncGenerator<Uint8Array, void>): Chunks {
  let first: Promise<IteratorResult<Uint8Array, void>> | undefined = chunks.next();
  first.catch(() => undefined); // reported when its turn comes
  return {
    next() {
      const result = first ?? chunks.next();
      first = undefined;
      return result;
    },
    return: () => chunks.return(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Bytes of the next ranges that are asked for while one is taken, at least. */
const AHEAD = 4 * 1024 * 1024;

/** The bytes of ranges, one after another. The next are begun while one is taken. */
export async function* inTurn(
  ranges: Iterable<Span>,
  chunksOf: (range: Span) => AsyncGenerator<Uint8Array, void>,
): AsyncGenerator<Uint8Array, void> {
  const rest = ranges[Symbol.iterator]();
  const coming: { readonly length: number; readonly chunks: Chunks }[] = [];
  let ahead = 0;
  const begin = (): void => {
    while (ahead < AHEAD) {
      const { done, value } = rest.next();
      if (done) return;
      ahead += value.length;
      coming.push({ length: value.length, chunks: begun(chunksOf(value)) });
    }
  };
  try {
    begin();
    for (let range = coming[0]; range; range = coming[0]) {
      ahead -= range.length;
      begin();
      yield* range.chunks;
      coming.shift();
    }
  } finally {
    await Promise.all(coming.map(({ chunks }) => chunks.return()));
  }
}
