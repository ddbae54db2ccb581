import { MiB } from '../base/units.js';
import type { RandomAccessSource, ReadOptions } from './random-access.js';

/** From this length on a range is taken as it arrives, where its source can do that, in bytes. */
export const LONG = 4 * MiB;

/** How many sequences are followed at a time. */
const SEQUENCES = 4;

/** Options of a read that a source may use to prepare for what comes next. */
export interface HintedReadOptions extends ReadOptions {
  /** How many bytes after this range will probably be read next; 0 for a read that is part of no sequence. */
  readonly ahead?: number;
}

/** A source whose bytes come in chunks of its own, of which the reader may have each. */
export interface ArrivingSource extends RandomAccessSource {
  /** The bytes of a range, in order, in chunks of at most 4 MiB that belong to the reader. Fails as `readInto` does. */
  arriving?(offset: number, length: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array, void>;
}

/** A source that makes use of the hint. */
export interface HintedSource extends ArrivingSource {
  readInto(target: Uint8Array, offset: number, options?: HintedReadOptions): Promise<void>;
}

/**
 * Recognises sequential reads, so that what comes next can be loaded before it is asked for. Several sequences may run
 * interleaved, such as payload and BAT.
 */
export class SequenceTracker {
  readonly #slack: number;
  /** The sequences, the latest first: offset at which the next read would begin, and bytes read so far. */
  readonly #sequences: { next: number; length: number }[] = [];

  /** @param slack how far from the end of the last read the next may begin and still continue the sequence, in bytes */
  constructor(slack: number) {
    this.#slack = slack;
  }

  /**
   * Takes note of a read.
   *
   * @returns how many bytes have been read in sequence so far, and so how many it is reasonable to load ahead; 0 for a
   *   read that continues no sequence
   */
  follow(offset: number, length: number): number {
    const end = offset + length;
    const at = this.#sequences.findIndex(({ next }) => Math.abs(offset - next) <= this.#slack);
    const sequence = this.#sequences[at];
    if (sequence === undefined) {
      this.#sequences.unshift({ next: end, length });
      if (this.#sequences.length > SEQUENCES) this.#sequences.pop();
      return 0;
    }
    if (end > sequence.next) {
      sequence.length += Math.min(length, end - sequence.next);
      sequence.next = end;
    }
    this.#sequences.splice(at, 1);
    this.#sequences.unshift(sequence);
    return sequence.length;
  }
}
