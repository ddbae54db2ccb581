import { type CrashFile, type FileOperation, isOperation, type TraceEvent, writeInto } from './crash-file.js';
import { PAGE_SIZE, type PageImage } from './page-image.js';

/** The unit that a write is cut into: a sector or a page is old or new, never mixed. */
export type Granule = 512 | 4096;

/** Which states of a trace are made. */
export interface CrashOptions {
  /** Chooses the random ones. 1 where it is left out. */
  readonly seed?: number;
  /** 512 where it is left out. */
  readonly granule?: Granule;
  /** Random subsets at each point. 4 where it is left out. */
  readonly random?: number;
  /** A write of up to this many granules is torn at each of them, a longer one at some. 64 where it is left out. */
  readonly torn?: number;
}

/** What a power cut leaves behind. */
export interface CrashState {
  /** What it takes to make it again with {@link crashState}; belongs into every message. */
  readonly id: string;
  /** How many events of the trace came before the cut. */
  readonly point: number;
  /** Which unflushed operations persisted, in the words of {@link crashState}. */
  readonly subset: string;
  readonly image: PageImage;
  /** The write of which one granule is missing, where that is the subset. */
  readonly torn: FileOperation | undefined;
  /** Whether the file is shorter than it had been made. */
  readonly lostLength: boolean;
}

/** What was done to a file before a point of its trace: what is durable, and what may or may not be. */
export interface CrashPoint {
  readonly point: number;
  readonly durable: PageImage;
  readonly pending: readonly FileOperation[];
  /** The events since the point before this one. */
  readonly events: readonly TraceEvent[];
}

/**
 * The points of a trace at which the power may be cut: before each operation and before each end of a flush, and at
 * the end. A flush that has begun and not ended has made nothing durable.
 */
export function* crashPoints(file: Pick<CrashFile, 'before' | 'trace'>): Generator<CrashPoint> {
  let durable = file.before;
  let pending: FileOperation[] = [];
  let events: TraceEvent[] = [];
  for (const [index, event] of file.trace.entries()) {
    if (isOperation(event) || event.kind === 'flush-end') {
      yield { point: index, durable, pending, events };
      events = [];
    }
    events.push(event);
    if (isOperation(event)) pending = [...pending, event];
    if (event.kind === 'flush-end') {
      const covered = ({ ended }: FileOperation) => ended !== undefined && ended <= event.begin;
      durable = persist(durable, pending.filter(covered), EVERYTHING, PAGE_SIZE);
      pending = pending.filter((operation) => !covered(operation));
    }
  }
  yield { point: file.trace.length, durable, pending, events };
}

/** Every state of a point: those that everything depends on, and some random ones. */
export function* crashStates(at: CrashPoint, options: CrashOptions = {}): Generator<CrashState> {
  for (const subset of subsetsOf(at.pending, options)) yield crashState(at, subset, options);
}

/**
 * A state by its name: `none`, `all`, `first N` of the pending operations, `only N`, `only N of the same length`,
 * `without N`, `length N` (everything, but only so many changes of the length), `torn N.G` (all but granule G of
 * operation N), `random N`.
 */
function crashState(at: CrashPoint, subset: string, options: CrashOptions = {}): CrashState {
  const { seed = 1, granule = 512 } = options;
  const choice = choiceOf(at, subset, seed, granule);
  const image = persist(at.durable, at.pending, choice, granule);
  const torn = /^torn (\d+)/.exec(subset);
  const lengths = at.pending.flatMap(({ newSize }) => (newSize === undefined ? [] : [newSize]));
  return {
    id: `seed ${seed}, granule ${granule}, point ${at.point}, ${subset}`,
    point: at.point,
    subset,
    image,
    torn: torn === null ? undefined : at.pending[Number(torn[1])],
    lostLength: image.size < Math.max(0, ...lengths),
  };
}

/** The state that an `id` of a trace names, such as `seed 1, granule 512, point 7, torn 2.5`. */
export function reproduce(file: Pick<CrashFile, 'before' | 'trace'>, id: string): CrashState {
  const [, seed, granule, point, subset] = /^seed (\d+), granule (512|4096), point (\d+), (.+)$/.exec(id) ?? [];
  if (subset === undefined) throw new Error(`not the name of a state: ${id}`);
  for (const at of crashPoints(file)) {
    if (at.point === Number(point)) {
      return crashState(at, subset, { seed: Number(seed), granule: Number(granule) as Granule });
    }
  }
  throw new Error(`the trace has no point ${point}`);
}

/** What persists of the pending operations. */
interface Choice {
  /** How many of them, from the first one on, have changed the file's length where they do. */
  readonly lengths: number;
  /** Whether one of them persists, where all of its granules do or none. */
  readonly whole: (operation: number) => boolean | undefined;
  /** Otherwise, whether a granule of it persists; granules are counted from the one that the write begins in. */
  readonly picks: (operation: number, granule: number) => boolean;
}

const EVERYTHING: Choice = { lengths: Number.POSITIVE_INFINITY, whole: () => true, picks: () => true };

function granulesOf({ offset, length }: FileOperation, granule: Granule): number {
  return length === 0 ? 0 : Math.ceil((offset + length) / granule) - Math.floor(offset / granule);
}

function* subsetsOf(pending: readonly FileOperation[], options: CrashOptions): Generator<string> {
  const { seed = 1, granule = 512, random = 4, torn = 64 } = options;
  yield 'none';
  if (pending.length === 0) return;
  yield 'all';
  for (let n = 1; n < pending.length; n++) yield `first ${n}`;
  for (const [n, operation] of pending.entries()) {
    if (pending.length > 1) {
      yield `only ${n}`;
      yield `without ${n}`;
      if (operation.kind === 'write' && pending.some(({ newSize }) => newSize !== undefined)) {
        yield `only ${n} of the same length`;
      }
    }
    if (operation.newSize !== undefined) yield `length ${n}`;
    const count = granulesOf(operation, granule);
    if (count < 2) continue;
    if (count <= torn) for (let g = 0; g < count; g++) yield `torn ${n}.${g}`;
    else for (const g of someOf(count, seed + n)) yield `torn ${n}.${g}`;
  }
  for (let n = 0; n < random; n++) yield `random ${n}`;
}

/** The first, the last, and a few numbers below `count`. */
function someOf(count: number, seed: number): Set<number> {
  const some = new Set([0, 1, count - 2, count - 1]);
  for (let i = 0; i < 8; i++) some.add(Math.floor(fraction(seed, count, i) * count));
  return some;
}

function choiceOf({ point, pending }: CrashPoint, subset: string, seed: number, granule: Granule): Choice {
  const every = pending.length;
  const wholly = (lengths: number, whole: Choice['whole'], picks: Choice['picks'] = () => false) => {
    return { lengths, whole, picks };
  };
  if (subset === 'none') return wholly(0, () => false);
  if (subset === 'all') return EVERYTHING;
  const [, kind, first, second, sameLength] =
    /^(first|only|without|length|torn|random) (\d+)(?:\.(\d+))?( of the same length)?$/.exec(subset) ?? [];
  const n = Number(first);
  const isLength = pending[n]?.kind === 'truncate';
  switch (kind) {
    case 'first':
      return wholly(n, (operation) => operation < n);
    case 'only':
      return wholly(isLength ? n + 1 : sameLength ? 0 : every, (operation) => operation === n);
    case 'without':
      return wholly(isLength ? n : every, (operation) => operation !== n);
    case 'length':
      return wholly(n, () => true);
    case 'torn':
      return wholly(
        every,
        (operation) => operation !== n || undefined,
        (_, granule) => granule !== Number(second),
      );
    case 'random': {
      const density = [0.1, 0.5, 0.9][Math.floor(fraction(seed, point, n, 1) * 3)] as number;
      const lengths = Math.floor(fraction(seed, point, n, 3) * (every + 1));
      // Of a long write a few pages are torn, and the others are old or new: what happens to one happens to all.
      const perPage = PAGE_SIZE / granule;
      const isLong = pending.map((operation) => granulesOf(operation, granule) > 64 * perPage);
      const picks = (operation: number, number: number) => {
        const page = Math.floor(number / perPage);
        const unit = isLong[operation] && page % 64 !== 0 ? page * perPage : number;
        return fraction(seed, point, n, operation, unit) < density;
      };
      const isWhole = fraction(seed, point, n, 2) < 0.5;
      return wholly(lengths, (operation) => (isWhole ? picks(operation, -1) : undefined), picks);
    }
    default:
      throw new Error(`not a subset: ${subset}`);
  }
}

/** Lets some of the operations persist. Bytes past the length that persists are lost. */
function persist(
  durable: PageImage,
  operations: readonly FileOperation[],
  { lengths, whole, picks }: Choice,
  granule: Granule,
): PageImage {
  const image = durable.fork();
  let { size } = durable;
  for (const [n, operation] of operations.entries()) {
    const persists = whole(n);
    if (persists === undefined) writeSome(image, operation, granule, (number) => picks(n, number));
    else if (persists) writeInto(image, operation);
    const { newSize } = operation;
    if (newSize === undefined || n >= lengths) continue;
    if (newSize < size) {
      image.truncate(Math.max(image.size, size)); // so that the cut is one
      image.truncate(newSize);
    }
    size = newSize;
  }
  // Pages past the end may have been set while the length was not known.
  image.truncate(Number.MAX_SAFE_INTEGER);
  image.truncate(size);
  return image;
}

/** Writes those granules of an operation that are picked. */
function writeSome(
  image: PageImage,
  { offset, parts }: FileOperation,
  granule: Granule,
  picks: (granule: number) => boolean,
): void {
  const first = Math.floor(offset / granule);
  for (const { index, from, to, page } of parts) {
    let start = from;
    for (let at = from; at < to; ) {
      const next = Math.min(to, Math.floor(at / granule) * granule + granule);
      if (!picks(Math.floor((index * PAGE_SIZE + at) / granule) - first)) {
        if (at > start) image.patchPage(index, page, start, at);
        start = next;
      }
      at = next;
    }
    if (to > start) image.patchPage(index, page, start, to);
  }
}

/** A number from 0 up to 1 that looks random and depends on nothing but these. */
export function fraction(...numbers: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const number of numbers) {
    hash = Math.imul(hash ^ number, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return (hash >>> 0) / 2 ** 32;
}
