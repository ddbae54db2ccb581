import { builtinModule } from '../base/builtin-module.js';
import { sumBytes } from '../core/crc32c.js';
import type { Core } from '../core/instance.js';
import { VhdxError } from '../errors.js';
import { hasVhdxSignature } from '../format/file-identifier.js';
import { givenGuid } from '../format/guid.js';
import { HEADER_OFFSETS, HEADER_SIZE, parseHeaders } from '../format/header.js';
import type { VhdxInput } from '../io/open.js';
import type { RandomAccessSource } from '../io/random-access.js';
import { openInput } from './open-input.js';
import type { OpenOptions } from './open-options.js';

/** A file that may be the parent of a member. */
export interface Candidate {
  readonly source: RandomAccessSource;
  /** DataWriteGuid of its current header; undefined if there is none, or it is zero. */
  readonly dataWriteGuid: string | undefined;
  /** Whether it has a valid header of a VHDX file. */
  readonly isVhdx: boolean;
}

/** Images of one folder that are looked into; a folder of more is no folder of disks. */
const MAX_IMAGES = 1000;

/** Bytes from the start of a file to the end of its second header. */
const HEADERS_END = HEADER_OFFSETS[1] + HEADER_SIZE;

/** Reads the headers of a file, and closes it where that fails. */
export async function identify(core: Core, source: RandomAccessSource, options: OpenOptions): Promise<Candidate> {
  try {
    const section = new Uint8Array(HEADERS_END);
    await source.readInto(section.subarray(0, Math.min(HEADERS_END, source.size)), 0, options);
    const crc = (bytes: Uint8Array, initial = 0) => sumBytes(core, bytes, initial);
    const header = hasVhdxSignature(section) ? parseHeaders(section, crc, () => {}).current : undefined;
    return { source, dataWriteGuid: givenGuid(header?.dataWriteGuid), isVhdx: header !== undefined };
  } catch (error) {
    await source.close?.();
    throw error;
  }
}

/** Paths of the images in a folder, by their names' endings, sorted. */
export async function imagesIn(folder: string): Promise<string[]> {
  const [fs, paths] = [builtinModule('fs'), builtinModule('path')];
  if (!fs || !paths) return [];
  const names = await fs.promises.readdir(folder);
  const images = names.filter((name) => /\.a?vhdx$/i.test(name)).sort();
  return images.slice(0, MAX_IMAGES).map((name) => paths.join(folder, name));
}

/** The files that the caller handed over as candidates for every member of a chain. Each is taken once. */
export class HandedOver {
  readonly #core: Core;
  readonly #options: OpenOptions;
  readonly #inputs: readonly VhdxInput[];
  #free: Candidate[] | undefined;

  constructor(core: Core, inputs: readonly VhdxInput[], options: OpenOptions) {
    this.#core = core;
    this.#inputs = inputs;
    this.#options = options;
  }

  /** Those that were not taken. */
  get free(): readonly Candidate[] {
    return this.#free ?? [];
  }

  /** Takes the candidate with the first of some DataWriteGuids that one has. */
  async takeFitting(linkages: readonly string[]): Promise<Candidate | undefined> {
    this.#free ??= await this.#open();
    for (const guid of linkages) {
      const found = this.#free.find(({ dataWriteGuid }) => dataWriteGuid === guid);
      if (found) return this.take(found);
    }
    return undefined;
  }

  /** Takes a candidate: it belongs to the caller from now on. */
  take(candidate: Candidate): Candidate {
    this.#free = this.free.filter((other) => other !== candidate);
    return candidate;
  }

  /** Closes those that were not taken. */
  async close(): Promise<void> {
    for (const { source } of this.free) await source.close?.();
    this.#free = [];
  }

  async #open(): Promise<Candidate[]> {
    this.#free = [];
    for (const input of this.#inputs) {
      const folder = await isFolder(input);
      const files = folder === undefined ? [input] : await imagesIn(folder);
      for (const file of files) {
        try {
          this.#free.push(await identify(this.#core, await openInput(file, this.#options), this.#options));
        } catch (error) {
          // One of many in a folder may be in use; a file that was named must be there.
          if (folder === undefined || !(error instanceof VhdxError)) throw error;
        }
      }
    }
    return this.#free;
  }
}

/** The path of a folder, if that is what an input names. */
async function isFolder(input: VhdxInput): Promise<string | undefined> {
  const fs = builtinModule('fs');
  if (typeof input !== 'string' || /^(https?|file):/i.test(input) || !fs) return undefined;
  const stats = await fs.promises.stat(input).catch(() => undefined);
  return stats?.isDirectory() ? input : undefined;
}
