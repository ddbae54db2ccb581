/** How many readers in sequence are told apart. */
const READERS = 4;

/**
 * Tells who reads in sequence, so that what comes next can be on its way before it is asked for.
 * Several sequences may run between each other, such as payload and BAT.
 */
export class SequenceTracker {
  readonly #slack: number;
  /** The readers, the latest first: where the next read would begin, and how far they have come. */
  readonly #readers: { next: number; length: number }[] = [];

  /** @param slack how far a read may begin from where the last one ended and still follow it, in bytes */
  constructor(slack: number) {
    this.#slack = slack;
  }

  /**
   * Takes note of a read.
   *
   * @returns how many bytes have been read in sequence so far, which is as much as it is fair to bet on going on for;
   *   0 for a read that follows no other
   */
  follow(offset: number, length: number): number {
    const end = offset + length;
    const at = this.#readers.findIndex(({ next }) => Math.abs(offset - next) <= this.#slack);
    const reader = this.#readers[at];
    if (reader === undefined) {
      this.#readers.unshift({ next: end, length });
      if (this.#readers.length > READERS) this.#readers.pop();
      return 0;
    }
    if (end > reader.next) {
      reader.length += Math.min(length, end - reader.next);
      reader.next = end;
    }
    this.#readers.splice(at, 1);
    this.#readers.unshift(reader);
    return reader.length;
  }
}
