import { discreet } from '../../io/discreet.js';
import type { RandomAccessFile, ReadOptions } from '../../io/random-access.js';

/** The file of an untrusted image, without its path, and with errors that do not have it either. */
export class DiscreetFile implements RandomAccessFile {
  readonly name?: string;
  readonly #file: RandomAccessFile;

  constructor(file: RandomAccessFile) {
    this.#file = file;
    if (file.name !== undefined) this.name = file.name;
  }

  get size(): number {
    return this.#file.size;
  }

  readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    return this.#discreetly(this.#file.readInto(target, offset, options));
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#discreetly(this.#file.write(bytes, offset));
  }

  truncate(size: number): Promise<void> {
    return this.#discreetly(this.#file.truncate(size));
  }

  flush(): Promise<void> {
    return this.#discreetly(this.#file.flush());
  }

  async #discreetly(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      throw discreet(error, this.name);
    }
  }
}
