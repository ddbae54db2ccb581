import type { ContentModel, ContentNote } from './content-model.js';
import type { CrashFile } from './crash-file.js';
import { type CrashOptions, type CrashState, crashPoints, crashStates, type Granule } from './crash-states.js';
import { type Feature, FeatureFinder, Tally } from './features.js';
import { PAGE_SIZE, type PageImage, ZERO_PAGE } from './page-image.js';
import { readHeaders, readState, type StateView } from './state-reader.js';
import { checkTrace } from './trace-rules.js';

/** What happens after a crash, to be explored in turn. */
export interface Recovery {
  /** One of so many states is recovered from. */
  readonly every: number;
  /** How often the power goes again at most. */
  readonly depth: number;
  /** Recovers from a state, does more, and returns what that did to the file and how it is judged. */
  readonly recover: (state: CrashState, view: StateView, depth: number) => Promise<Explored>;
}

/** What was done to a file, and how its states are judged. */
export interface Explored {
  readonly file: Pick<CrashFile, 'before' | 'trace'>;
  readonly exploration: Exploration;
}

/** What is checked at each state, beside that it is a sound VHDX. */
export interface Exploration extends Omit<CrashOptions, 'granule'> {
  /** Both where they are left out. */
  readonly granules?: readonly Granule[];
  /** Makes the model that follows the trace's notes: I2, I3, I4. */
  readonly model?: () => ContentModel;
  /** The parent of a differencing image. */
  readonly parent?: StateView;
  /** Whether the other header must do where one is destroyed besides: I9. True where it is left out. */
  readonly eitherHeader?: boolean;
  /** Anything else. */
  readonly also?: (state: CrashState, view: StateView) => void | Promise<void>;
  /** Whether the states of a point are made; all points are where it is left out. `point` is its place in the trace. */
  readonly isExplored?: (point: number) => boolean;
  /** Counts the states. */
  readonly tally?: Tally;
  /** Features of all states. */
  readonly features?: readonly Feature[];
  readonly recovery?: Recovery;
}

const NESTED: readonly Feature[] = [
  'a crash during or after the recovery from another one',
  'a crash during or after the recovery from a second one',
];

/**
 * Makes every state that a power cut could leave of a trace, reads each with the strict reader, and checks its content
 * against the model. Returns how many there were; one that came before, and need show nothing else by now, is not
 * looked at again, and not counted by the tally. A failure names the state: see `reproduce`.
 */
export async function exploreCrashes(
  file: Pick<CrashFile, 'before' | 'trace'>,
  exploration: Exploration = {},
): Promise<number> {
  const { model: makeModel, tally = new Tally(), features = [], granules = [512, 4096], recovery } = exploration;
  const model = makeModel?.();
  const finder = new FeatureFinder(tally, features);
  let seen = new Set<number>();
  let made = 0;
  let states = 0;
  for (const point of crashPoints(file)) {
    for (const event of point.events) {
      if (event.kind !== 'note') continue;
      seen = new Set();
      const note = event.note as ContentNote;
      if (note.kind === 'no-space') finder.always('a session that was refused space');
      model?.follow(note);
    }
    if (exploration.isExplored?.(point.point) === false) continue;
    for (const granule of granules) {
      for (const state of crashStates(point, { ...exploration, granule })) {
        made += 1;
        const fingerprint = state.image.fingerprint();
        if (seen.has(fingerprint)) continue;
        seen.add(fingerprint);
        tally.add(fingerprint);
        states += 1;
        const nested = recovery && recovery.depth > 0 && states % recovery.every === 0;
        await checkState(state, model, exploration, tally)
          .then((view) => {
            finder.look(state, view);
            return nested ? recoverFrom(state, view, recovery, exploration) : undefined;
          })
          .catch((error: Error) => {
            throw new Error(`${state.id}: ${error.message}`, { cause: error });
          });
      }
    }
  }
  return made;
}

/** Recovers from a state, and explores the states of that. */
async function recoverFrom(
  state: CrashState,
  view: StateView,
  recovery: Recovery,
  { tally, features = [] }: Exploration,
): Promise<void> {
  const { file, exploration } = await recovery.recover(state, view, recovery.depth);
  checkTrace(file);
  const level = NESTED.filter((feature) => features.includes(feature)).length;
  await exploreCrashes(file, {
    ...exploration,
    ...(tally && { tally }),
    features: [...features, NESTED[level] as Feature],
    recovery: { ...recovery, depth: recovery.depth - 1 },
  });
}

async function checkState(
  state: CrashState,
  model: ContentModel | undefined,
  exploration: Exploration,
  tally: Tally,
): Promise<StateView> {
  const view = readState(state.image, exploration.parent);
  model?.check(view);
  if (exploration.eitherHeader !== false && view.headers.length === 2) {
    for (const slot of [1, 2] as const) model?.check(readState(withoutHeader(state.image, slot), exploration.parent));
    tally.count('a header that is damaged besides');
  }
  await exploration.also?.(state, view);
  return view;
}

/** The same image with one header destroyed. */
export function withoutHeader(image: PageImage, slot: 1 | 2): PageImage {
  const copy = image.fork();
  copy.setPage((slot * 64 * 1024) / PAGE_SIZE, ZERO_PAGE);
  return copy;
}

/** I6: whether the DataWriteGuid changed exactly where it had to (W5). */
export function hasNewDataWriteGuid(before: PageImage, after: PageImage): boolean {
  return readHeaders(before)[0]?.dataWriteGuid !== readHeaders(after)[0]?.dataWriteGuid;
}

/** I8: the first place below `size` where two disks read differently, in words; undefined where they are the same. */
export function viewDifference(a: StateView, b: StateView, size = a.metadata.size): string | undefined {
  const perBlock = Math.min(a.metadata.blockSize, b.metadata.blockSize) / PAGE_SIZE;
  const isZeros = ({ bat, metadata }: StateView, page: number) =>
    !metadata.hasParent && bat.block(Math.floor((page * PAGE_SIZE) / metadata.blockSize)).state < 6;
  for (let first = 0; first * PAGE_SIZE < size; first += perBlock) {
    if (isZeros(a, first) && isZeros(b, first)) continue;
    for (let index = first; index < first + perBlock && index * PAGE_SIZE < size; index++) {
      const [own, other] = [a.page(index), b.page(index)];
      const at = own === other ? -1 : firstDifference(own, other);
      if (at >= 0 && index * PAGE_SIZE + at < size) return `the disks differ at ${index * PAGE_SIZE + at}`;
    }
  }
  return undefined;
}

const differences = new WeakMap<Uint8Array, WeakMap<Uint8Array, number>>();

/** Where two pages first differ; −1 where they do not. Remembered: pages never change. */
function firstDifference(own: Uint8Array, other: Uint8Array): number {
  const known = differences.get(own) ?? new WeakMap<Uint8Array, number>();
  differences.set(own, known);
  let at = known.get(other);
  if (at === undefined) {
    at = own.findIndex((byte, i) => byte !== other[i]);
    known.set(other, at);
  }
  return at;
}
