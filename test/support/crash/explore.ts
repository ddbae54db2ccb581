import type { ContentModel, ContentNote } from './content-model.js';
import type { CrashFile } from './crash-file.js';
import { type CrashOptions, type CrashState, crashPoints, crashStates, type Granule } from './crash-states.js';
import { PAGE_SIZE, type PageImage, ZERO_PAGE } from './page-image.js';
import { readHeaders, readState, type StateView } from './state-reader.js';

/** What is checked at each state, beside that it is a sound VHDX. */
export interface Exploration extends Omit<CrashOptions, 'granule'> {
  /** Both where they are left out. */
  readonly granules?: readonly Granule[];
  /** Makes the model that follows the trace's notes: I2, I3, I4. One for each walk. */
  readonly model?: () => ContentModel;
  /** The parent of a differencing image. */
  readonly parent?: StateView;
  /** Whether the other header must do where one is destroyed besides: I9. True where it is left out. */
  readonly eitherHeader?: boolean;
  /** Anything else. */
  readonly also?: (state: CrashState, view: StateView) => void | Promise<void>;
  /** Whether the states of a point are made; all points are where it is left out. `point` is its place in the trace. */
  readonly isExplored?: (point: number) => boolean;
}

/**
 * Makes every state that a power cut could leave of a trace, reads each with the strict reader, and checks its content
 * against the model. Returns how many there were. A failure names the state: see `reproduce`.
 */
export async function exploreCrashes(
  file: Pick<CrashFile, 'before' | 'trace'>,
  exploration: Exploration = {},
): Promise<number> {
  let states = 0;
  for (const granule of exploration.granules ?? [512, 4096]) {
    const model = exploration.model?.();
    for (const point of crashPoints(file)) {
      for (const event of point.events) if (event.kind === 'note') model?.follow(event.note as ContentNote);
      if (exploration.isExplored?.(point.point) === false) continue;
      for (const state of crashStates(point, { ...exploration, granule })) {
        await checkState(state, model, exploration).catch((error: Error) => {
          throw new Error(`${state.id}: ${error.message}`, { cause: error });
        });
        states += 1;
      }
    }
  }
  return states;
}

async function checkState(state: CrashState, model: ContentModel | undefined, exploration: Exploration): Promise<void> {
  const view = readState(state.image, exploration.parent);
  model?.check(view);
  if (exploration.eitherHeader !== false && view.headers.length === 2) {
    for (const slot of [1, 2] as const) model?.check(readState(withoutHeader(state.image, slot), exploration.parent));
  }
  await exploration.also?.(state, view);
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
