import { loadCore } from '../../../src/core/load.js';
import type { VhdxDisk } from '../../../src/disk/disk.js';
import { makeWritable } from '../../../src/edit/writable/edit-image.js';
import type { WritableVhdxDisk } from '../../../src/edit/writable/writable-disk.js';
import { VhdxError } from '../../../src/errors.js';
import { isComplete } from '../../../src/image/examination.js';
import { examine } from '../../../src/image/examine.js';
import type { RandomAccessFile } from '../../../src/io/random-access.js';
import type { WriterIdentity } from '../../../src/log/journal.js';
import type { ContentNote, Tag } from '../crash/content-model.js';
import { taggedBytes } from '../crash/content-model.js';
import type { CrashFile } from '../crash/crash-file.js';

/** GUIDs and sequence numbers that are the same in every run; GUIDs are counted from after a number on. */
export function countedIdentity(after = 0): WriterIdentity {
  let guids = after;
  return {
    guid: () => {
      guids += 1;
      return `00000000-0000-4000-8000-${guids.toString(16).padStart(12, '0')}`;
    },
    firstSequenceNumber: () => 1n,
  };
}

/** Opens a clean file for writing, with a parent that is open. */
export async function editFile(
  file: RandomAccessFile,
  parent?: VhdxDisk,
  identity: WriterIdentity = countedIdentity(),
): Promise<WritableVhdxDisk> {
  const core = await loadCore();
  const examination = await examine(core, file, 'refuse');
  if (!isComplete(examination)) throw new Error(JSON.stringify(examination.findings));
  return makeWritable(core, file, examination, { parent, identity, release: async () => undefined });
}

/**
 * A writable disk over a {@link CrashFile} that notes in the file's trace what it does, so that a `ContentModel` can
 * follow. Every write has content of its own.
 */
export class DrivenDisk {
  readonly disk: WritableVhdxDisk;
  readonly #file: CrashFile;
  /** Numbers of the operations that have ended, and that the next flush makes durable. */
  readonly #ended = new Set<number>();
  readonly #first: number;
  #count = 0;

  private constructor(disk: WritableVhdxDisk, file: CrashFile, first: number) {
    this.disk = disk;
    this.#file = file;
    this.#first = first;
  }

  /** Opens the disk. `first` is the number after which its operations are counted. */
  static async open(
    file: CrashFile,
    {
      parent,
      identity = countedIdentity(),
      first = 0,
    }: { parent?: VhdxDisk; identity?: WriterIdentity; first?: number } = {},
  ): Promise<DrivenDisk> {
    return new DrivenDisk(await editFile(file, parent, identity), file, first);
  }

  /** Writes bytes that name the write and their place. In whole sectors. */
  write(offset: number, length: number): Promise<void> {
    const id = this.#begin(offset, length, (own) => [own]);
    return this.#settled(id, this.disk.write(taggedBytes(id, offset, length), offset));
  }

  zero(offset: number, length: number): Promise<void> {
    return this.#settled(
      this.#begin(offset, length, () => [0]),
      this.disk.zero(offset, length),
    );
  }

  /** Trims whole blocks that are stored. */
  trim(offset: number, length: number): Promise<void> {
    return this.#settled(
      this.#begin(offset, length, () => [0]),
      this.disk.trim(offset, length),
    );
  }

  async flush(): Promise<void> {
    const ids = new Set(this.#ended);
    await this.disk.flush();
    for (const id of ids) this.#ended.delete(id);
    this.#note({ kind: 'flushed', ids });
  }

  async close(): Promise<void> {
    const ids = new Set(this.#ended);
    await this.disk.close();
    this.#note({ kind: 'flushed', ids });
  }

  #begin(offset: number, length: number, tags: (id: number) => readonly Tag[]): number {
    this.#count += 1;
    const id = this.#first + this.#count;
    this.#note({ kind: 'begun', id, offset, length, tags: tags(id) });
    return id;
  }

  async #settled(id: number, operation: Promise<void>): Promise<void> {
    try {
      await operation;
      this.#ended.add(id);
    } catch (error) {
      if (!(error instanceof VhdxError && error.code === 'no-space')) throw error;
      this.#note({ kind: 'no-space' });
    }
  }

  #note(note: ContentNote): void {
    this.#file.note(note);
  }
}
