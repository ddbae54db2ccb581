/** Bytes of a window: enough for a claim to cost nothing, and few enough for all threads to end together. */
const WINDOW = 4 * 1024 * 1024;
/** Most windows; those of a larger disk are larger. */
const MOST_WINDOWS = 2 ** 20;
/** Where no difference was found yet. */
const NOWHERE = BigInt(Number.MAX_SAFE_INTEGER);

/** What several threads share while they work on the same disks. */
export interface SharedClaims {
  /** The end, how far each thread is and of how much, and the owner of each window. */
  readonly memory: SharedArrayBuffer;
  readonly windowBytes: number;
  readonly threads: number;
}

/** Makes what threads share that work on disks of up to so many bytes. */
export function sharedClaims(size: number, threads: number, window = WINDOW): SharedClaims {
  const windowBytes = window * Math.max(1, Math.ceil(size / window / MOST_WINDOWS));
  const memory = new SharedArrayBuffer(cellsOf(threads) * 8 + Math.ceil(size / windowBytes));
  new BigInt64Array(memory, 0, 1)[0] = NOWHERE;
  return { memory, windowBytes, threads };
}

const cellsOf = (threads: number): number => 1 + 2 * threads;

/**
 * Which part of disks is whose, as all threads see it: the first that comes to a window has it. So they read close to
 * one another, as rotating disks need it, and end together. Nobody takes a window without data.
 */
export class Claims {
  readonly #windowBytes: number;
  readonly #threads: number;
  readonly #cells: BigInt64Array;
  readonly #owners: Uint8Array;
  readonly #self: number;

  /** @param self the number of the thread that asks, from 0 on */
  constructor({ memory, windowBytes, threads }: SharedClaims, self = 0) {
    this.#windowBytes = windowBytes;
    this.#threads = threads;
    this.#cells = new BigInt64Array(memory, 0, cellsOf(threads));
    this.#owners = new Uint8Array(memory, this.#cells.byteLength);
    this.#self = self;
  }

  /** The end of the window with a byte. */
  endOf(offset: number): number {
    return (Math.floor(offset / this.#windowBytes) + 1) * this.#windowBytes;
  }

  /** Takes the window with a byte, unless another has it. Returns whether it is this thread's. */
  take(offset: number): boolean {
    const owner = this.#self + 1;
    const before = Atomics.compareExchange(this.#owners, Math.floor(offset / this.#windowBytes), 0, owner);
    return before === 0 || before === owner;
  }

  /** Whether the window with a byte is this thread's. */
  isMine(offset: number): boolean {
    return Atomics.load(this.#owners, Math.floor(offset / this.#windowBytes)) === this.#self + 1;
  }

  /** From where on nothing matters any more. */
  get end(): number {
    return Number(Atomics.load(this.#cells, 0));
  }

  /** Tells the others that nothing from an offset on matters any more. */
  endAt(offset: number): void {
    const wanted = BigInt(offset);
    for (let known = Atomics.load(this.#cells, 0); wanted < known; ) {
      const before = Atomics.compareExchange(this.#cells, 0, known, wanted);
      if (before === known) return;
      known = before;
    }
  }

  /** Says how far this thread is. */
  report({ done, total }: { readonly done: number; readonly total: number }): void {
    Atomics.store(this.#cells, 2 + 2 * this.#self, BigInt(total));
    Atomics.store(this.#cells, 1 + 2 * this.#self, BigInt(done));
  }

  /** How far the thread is that is furthest back; undefined before all have begun. */
  get progress(): { readonly done: number; readonly total: number } | undefined {
    const all = Array.from({ length: this.#threads }, (_, i) => ({
      done: Number(Atomics.load(this.#cells, 1 + 2 * i)),
      total: Number(Atomics.load(this.#cells, 2 + 2 * i)),
    }));
    return all.some(({ total }) => total === 0) ? undefined : all.sort((a, b) => a.done - b.done)[0];
  }
}
