import { checkRead, rangeOf } from '../../base/byte-range.js';
import { VhdxError } from '../../errors.js';
import type { Extent, RandomAccessSource, ReadOptions } from '../../io/random-access.js';
import { inlineData } from './inline-data.js';
import { type ExtVolume, type Inode, InodeFlag, refuseEncrypted } from './inode.js';
import { unsupported } from './problems.js';
import { type Run, runsOf } from './runs.js';

/** The contents of a file, as a source that knows its holes. */
export class ExtFile implements RandomAccessSource {
  readonly size: number;
  readonly name: string;
  readonly #volume: ExtVolume;
  readonly #inode: Inode;
  readonly #inline: Uint8Array | undefined;
  #closed = false;

  constructor(volume: ExtVolume, inode: Inode, name: string) {
    refuseEncrypted(inode, name);
    if (inode.flags & InodeFlag.verity)
      throw unsupported(`${name} is protected by fs-verity, whose hashes are not checked here`);
    this.size = inode.stat.size;
    this.name = name;
    this.#volume = volume;
    this.#inode = inode;
    this.#inline = inode.flags & InodeFlag.inlineData ? inlineData(inode) : undefined;
  }

  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    if (this.#closed) throw new VhdxError('closed', 'the file was closed');
    checkRead(this.size, target, offset);
    if (this.#inline) {
      target.set(this.#inline.subarray(offset, offset + target.length));
      return;
    }
    const { blockSize } = this.#volume.superblock;
    let done = offset;
    for await (const { logical, length, physical } of this.#runs(offset, target.length, options)) {
      const start = Math.max(offset, logical * blockSize);
      const end = Math.min(offset + target.length, (logical + length) * blockSize);
      target.fill(0, done - offset, start - offset);
      const part = target.subarray(start - offset, end - offset);
      const inFirst = start - logical * blockSize;
      await this.#volume.blocks.readInto(part, physical, inFirst, options);
      done = end;
    }
    target.fill(0, done - offset);
  }

  /** Where the file has data; `fileOffset` is a place on the volume. */
  async *extents(
    range: { offset?: number; length?: number; signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<Extent> {
    const { offset, length } = rangeOf(this.size, range);
    const end = offset + length;
    const { blockSize } = this.#volume.superblock;
    let done = offset;
    const runs = this.#inline ? [] : this.#runs(offset, length, range);
    if (this.#inline && length > 0) {
      yield { offset, length, kind: 'data', depth: 0 };
      return;
    }
    for await (const run of runs) {
      const start = Math.max(offset, run.logical * blockSize);
      const stop = Math.min(end, (run.logical + run.length) * blockSize);
      if (start > done) yield { offset: done, length: start - done, kind: 'unmapped', depth: 0 };
      const fileOffset = run.physical * blockSize + start - run.logical * blockSize;
      yield { offset: start, length: stop - start, kind: 'data', depth: 0, fileOffset };
      done = stop;
    }
    if (end > done) yield { offset: done, length: end - done, kind: 'unmapped', depth: 0 };
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #runs(offset: number, length: number, options?: ReadOptions): AsyncGenerator<Run> {
    const { blockSize } = this.#volume.superblock;
    const [from, to] = [Math.floor(offset / blockSize), Math.ceil((offset + length) / blockSize)];
    return runsOf(this.#volume, this.#inode, { from, to, options });
  }
}
