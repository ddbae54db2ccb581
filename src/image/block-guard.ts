import { untilAborted } from '../base/abort.js';

/** A range of the disk that an operation works on, until it releases it. */
export interface Claim {
  /** First byte that is claimed. */
  readonly start: number;
  /** The byte after the last one that is claimed. */
  readonly end: number;
}

interface Operation extends Claim {
  start: number;
  end: number;
  running: boolean;
  wake: (() => void) | undefined;
}

/**
 * Orders the operations of one disk that change it: of two that touch the same bytes, the one that came first goes
 * first. Operations that only overwrite bytes in place claim these bytes; those that change where a block is, or what
 * state it has, claim whole blocks.
 */
export class BlockGuard {
  readonly #blockSize: number;
  /** Those that run or wait, in the order in which they came. */
  readonly #operations: Operation[] = [];
  /** Called when an operation ends, if something waits for all to end. */
  #released: (() => void) | undefined;

  constructor(blockSize: number) {
    this.#blockSize = blockSize;
  }

  /** Claims bytes; waits for what came before and overlaps them. */
  async claim(start: number, end: number, signal?: AbortSignal): Promise<Claim> {
    const operation: Operation = { start, end, running: false, wake: undefined };
    this.#operations.push(operation);
    try {
      await this.#run(operation, signal);
    } catch (reason) {
      this.release(operation);
      throw reason;
    }
    return operation;
  }

  /** Claims bytes if nothing overlaps them that runs or waits; undefined if something does. */
  claimFree(start: number, end: number): Claim | undefined {
    for (const other of this.#operations) if (other.start < end && start < other.end) return undefined;
    const operation: Operation = { start, end, running: true, wake: undefined };
    this.#operations.push(operation);
    return operation;
  }

  /** Resolves when nothing is claimed any more. */
  async empty(): Promise<void> {
    while (this.#operations.length > 0) {
      await new Promise<void>((resolve) => {
        this.#released = resolve;
      });
    }
  }

  /**
   * Claims the whole blocks that a claim touches, at the place in the order that it has. What was claimed stays claimed,
   * and is the caller's to release, also if it rejects.
   */
  async claimBlocks(claim: Claim, signal?: AbortSignal): Promise<void> {
    const operation = claim as Operation;
    operation.start -= operation.start % this.#blockSize;
    operation.end = Math.ceil(operation.end / this.#blockSize) * this.#blockSize;
    // While it waits it holds nothing: of two that run in one block and want all of it, the earlier one goes first.
    operation.running = false;
    await this.#run(operation, signal);
  }

  /** Ends a claim. */
  release(claim: Claim): void {
    const at = this.#operations.indexOf(claim as Operation);
    if (at < 0) throw new Error('block guard: a claim was released twice');
    this.#operations.splice(at, 1);
    this.#wakeOthers();
    this.#released?.();
  }

  async #run(operation: Operation, signal: AbortSignal | undefined): Promise<void> {
    if (this.#mayRun(operation)) {
      operation.running = true;
      this.#wakeOthers();
      return;
    }
    const turn = new Promise<void>((resolve) => {
      operation.wake = resolve;
    });
    this.#wakeOthers();
    try {
      await untilAborted(turn, signal);
    } finally {
      operation.wake = undefined;
    }
  }

  #wakeOthers(): void {
    for (const operation of this.#operations) {
      if (operation.wake === undefined || !this.#mayRun(operation)) continue;
      operation.running = true;
      operation.wake();
      operation.wake = undefined;
    }
  }

  #mayRun(operation: Operation): boolean {
    let earlier = true;
    for (const other of this.#operations) {
      if (other === operation) earlier = false;
      else if ((earlier || other.running) && other.start < operation.end && operation.start < other.end) return false;
    }
    return true;
  }
}
