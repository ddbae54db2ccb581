import { write } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { BrokenPipe, Failure, isSystemError, systemReason } from './failure.js';

const DESCRIPTOR = 1;
/** Pause before a full pipe that does not block is tried again, in milliseconds. */
const RETRY_AFTER = 2;

/**
 * Writes to standard output and waits until it is taken. Rejects with {@link BrokenPipe} if its reader has closed it.
 * Not by `process.stdout`, because that blocks everything else while a pipe is full, and is slow to start.
 */
export async function writeOut(data: string | Uint8Array): Promise<void> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  for (let done = 0; done < bytes.length; ) {
    try {
      done += await writeOnce(bytes, done);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      if (error.code === 'EPIPE') throw new BrokenPipe('the reader has closed the pipe', { cause: error });
      if (error.code !== 'EAGAIN') throw new Failure(`standard output: ${systemReason(error)}`, { cause: error });
      await setTimeout(RETRY_AFTER);
    }
  }
}

function writeOnce(bytes: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    write(DESCRIPTOR, bytes, offset, bytes.length - offset, null, (error, count) =>
      error ? reject(error) : resolve(count),
    );
  });
}

/** Characters that are collected before they are written. */
const CHUNK = 128 * 1024;

/** Collects text and writes it to standard output in large chunks; one is written while the next one is collected. */
export class BufferedOutput {
  #text = '';
  #writing = Promise.resolve();

  /** Adds some text; false if there is enough to be written, so that {@link send} should be awaited. */
  add(text: string): boolean {
    this.#text += text;
    return this.#text.length < CHUNK;
  }

  /** Begins to write what was collected, when what was sent before is written. */
  async send(): Promise<void> {
    await this.#writing;
    this.#writing = writeOut(this.#text);
    this.#writing.catch(() => undefined); // the next send or end rejects with it
    this.#text = '';
  }

  /** Writes what is left. */
  async end(): Promise<void> {
    await this.send();
    await this.#writing;
  }
}
