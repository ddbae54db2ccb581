import { constants, type Stats, write } from 'node:fs';
import { access, type FileHandle, open, realpath, rename, unlink } from 'node:fs/promises';
import type { RandomAccessSink } from '../index.js';
import { about, Failure, isSystemError } from './failure.js';

/**
 * A file that is written under a name that ends in `.partial`, and gets its own name when it is whole: what is only
 * half written never looks like what was wanted, and what was there before stays until then.
 */
export class PartialFile implements RandomAccessSink {
  readonly #handle: FileHandle;
  readonly #path: string;
  readonly #partialPath: string;

  private constructor(handle: FileHandle, path: string, partialPath: string) {
    this.#handle = handle;
    this.#path = path;
    this.#partialPath = partialPath;
  }

  /** Begins a file; `replaced` is the one whose place and permissions it takes, where there is one. */
  static async create(out: string, replaced?: Stats): Promise<PartialFile> {
    // Through a link: what it leads to is replaced, and not the link.
    const path = replaced ? await realpath(out) : out;
    if (replaced) await access(path, constants.W_OK);
    const partialPath = `${path}.partial`;
    try {
      return new PartialFile(await open(partialPath, 'wx', (replaced?.mode ?? 0o666) & 0o777), path, partialPath);
    } catch (cause) {
      if (!isSystemError(cause) || cause.code !== 'EEXIST') throw cause;
      const message = `${partialPath}: is there already: it is being written, or its writer was killed; remove it if so`;
      throw new Failure(message, { cause });
    }
  }

  /** Lets the file be written. Gives it its name where that succeeds, and removes it where it does not. */
  async take(writing: (sink: RandomAccessSink) => Promise<void>): Promise<void> {
    try {
      await writing(this);
      await about(this.#path, async () => {
        await this.#handle.close();
        await rename(this.#partialPath, this.#path);
      });
    } catch (error) {
      await this.#handle.close().catch(() => undefined);
      await unlink(this.#partialPath).catch(() => undefined);
      throw error;
    }
  }

  truncate(size: number): Promise<void> {
    return about(this.#path, () => this.#handle.truncate(size));
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    return about(this.#path, () => writeAll(this.#handle.fd, bytes, offset));
  }
}

/** Writes all of some bytes at a place. In the callback form: the promises of node:fs cost more than a small write. */
function writeAll(fd: number, bytes: Uint8Array, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let done = 0;
    const go = (): void => {
      write(fd, bytes, done, bytes.length - done, offset + done, (error, count) => {
        done += count;
        if (error) reject(error);
        else if (done === bytes.length) resolve();
        else go();
      });
    };
    go();
  });
}
