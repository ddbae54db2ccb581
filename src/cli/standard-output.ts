import { write } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { BrokenPipe, Failure, isSystemError, systemReason } from './failure.js';

const DESCRIPTOR = 1;
/** Pause before a pipe that was set not to wait is tried again, in milliseconds. */
const RETRY_AFTER = 2;

/**
 * Writes to standard output and waits until it is taken. Rejects with {@link BrokenPipe} where nobody reads any more.
 * Past `process.stdout`, because that blocks everything else while a pipe is full, and is slow to start.
 */
export async function writeOut(data: string | Uint8Array): Promise<void> {
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  for (let done = 0; done < bytes.length; ) {
    try {
      done += await writeOnce(bytes, done);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      if (error.code === 'EPIPE') throw new BrokenPipe('nobody reads', { cause: error });
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

/** Writes plain data as JSON, indented as qemu-img does it. */
export function writeJson(data: unknown): Promise<void> {
  return writeOut(`${JSON.stringify(data, null, 4)}\n`);
}

/** Characters that are gathered before they are written. */
const CHUNK = 128 * 1024;

/** Gathers text and writes it to standard output in large chunks; one is on its way while the next one is gathered. */
export class GatheredOutput {
  #text = '';
  #writing = Promise.resolve();

  /** Adds some text; false where there is enough to be written, so that {@link send} is to be waited for. */
  add(text: string): boolean {
    this.#text += text;
    return this.#text.length < CHUNK;
  }

  /** Begins to write what was gathered, when what was sent before is written. */
  async send(): Promise<void> {
    await this.#writing;
    this.#writing = writeOut(this.#text);
    this.#writing.catch(() => undefined); // told to whoever waits for it next
    this.#text = '';
  }

  /** Writes what is left. */
  async end(): Promise<void> {
    await this.send();
    await this.#writing;
  }
}
