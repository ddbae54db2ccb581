import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { RandomAccessSink } from '../index.js';
import { about } from './failure.js';

const ZEROS = new Uint8Array(1024 * 1024);

/** Takes some bytes; they are the giver's again when the promise settles. */
type Write = (bytes: Uint8Array) => Promise<void>;

/** Turns what is written at ascending places into one sequence of bytes, with zeros for what is left out: for pipes and devices. */
export class SequentialSink implements RandomAccessSink {
  readonly #write: Write;
  readonly #signal: AbortSignal;
  #position = 0;
  #size = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(write: Write, signal: AbortSignal) {
    this.#write = write;
    this.#signal = signal;
  }

  /** Lets the sequence be written, to its end. */
  async take(writing: (sink: RandomAccessSink) => Promise<void>): Promise<void> {
    await writing(this);
    await this.#fill(this.#size);
  }

  async truncate(size: number): Promise<void> {
    this.#size = size;
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    this.#last = this.#last.then(() => this.#writeNext(bytes, offset));
    return this.#last;
  }

  async #writeNext(bytes: Uint8Array, offset: number): Promise<void> {
    if (offset < this.#position) throw new RangeError(`a pipe is at ${this.#position} and cannot go back to ${offset}`);
    await this.#fill(offset);
    this.#signal.throwIfAborted(); // what waits behind a slow reader is not worth his time
    await this.#write(bytes);
    this.#position += bytes.length;
  }

  async #fill(end: number): Promise<void> {
    while (this.#position < end) {
      this.#signal.throwIfAborted();
      const zeros = ZEROS.subarray(0, Math.min(ZEROS.length, end - this.#position));
      await this.#write(zeros);
      this.#position += zeros.length;
    }
  }
}

/** Lets something be written to what is there already and is not a file: a block device, a named pipe. */
export async function writeInPlace(
  path: string,
  signal: AbortSignal,
  writing: (sink: RandomAccessSink) => Promise<void>,
): Promise<void> {
  const handle = await about(path, () => open(path, constants.O_WRONLY));
  try {
    await new SequentialSink((bytes) => about(path, () => handle.writeFile(bytes)), signal).take(writing);
    // A device tells late of what it could not keep.
    if ((await handle.stat()).isBlockDevice()) await about(path, () => handle.sync());
  } finally {
    await handle.close();
  }
}
