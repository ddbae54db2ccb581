import type { WarningOptions } from '../../base/options.js';
import type { Core } from '../../core/instance.js';
import { inFile } from '../../disk/chain-member.js';
import type { VhdxDisk } from '../../disk/disk.js';
import type { ParentOption } from '../../disk/open-options.js';
import { VhdxError } from '../../errors.js';
import { identify } from '../../image/identify.js';
import type { VhdxInput } from '../../io/open.js';
import type { RandomAccessFile } from '../../io/random-access.js';
import { readOnly } from '../open-session.js';
import { type OpenTarget, openTarget } from '../target.js';

/** The parents that the caller handed over as open files: those of them that can be written are known again here. */
export class HandedOverFiles {
  readonly #core: Core;
  readonly #files = new Set<RandomAccessFile>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** The same option, so that what it hands over is remembered. */
  follow(parent: ParentOption | undefined): ParentOption | undefined {
    if (typeof parent === 'function') {
      return async (request) => {
        const input = await parent(request);
        this.#remember(input);
        return input;
      };
    }
    if (parent !== undefined && parent !== false)
      for (const input of [parent].flat()) this.#remember(input as VhdxInput);
    return parent;
  }

  /** Whether a file is the one that a member of a chain was opened from. */
  async isFileOf(disk: VhdxDisk, file: RandomAccessFile): Promise<boolean> {
    const { dataWriteGuid } = await identify(this.#core, readOnly(file), {});
    return dataWriteGuid !== undefined && dataWriteGuid === disk.info.header.dataWriteGuid;
  }

  /**
   * Opens the file of a member of a chain to be changed in place.
   *
   * @throws VhdxError `read-only` if it was handed over as something that cannot be written; or as `openTarget` does
   */
  async open(disk: VhdxDisk, { onWarning }: WarningOptions): Promise<OpenTarget> {
    const options = { durable: true, onWarning };
    try {
      if (disk.path !== undefined) return await openTarget(disk.path, options);
      for (const file of this.#files) if (await this.isFileOf(disk, file)) return await openTarget(file, options);
    } catch (error) {
      throw error instanceof VhdxError ? inFile(error, { file: disk.name, path: disk.path }) : error;
    }
    const message = 'was not opened from a path or a file that can be written, so nothing can be merged into it';
    throw new VhdxError('read-only', message, { file: disk.name ?? 'the parent' });
  }

  #remember(input: VhdxInput | undefined): void {
    if (typeof input !== 'object' || input === null) return;
    const has = (name: string) => typeof Reflect.get(input, name) === 'function';
    if (['readInto', 'write', 'truncate', 'flush'].every(has)) this.#files.add(input as RandomAccessFile);
  }
}
