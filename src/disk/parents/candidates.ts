import { builtinModule } from '../../base/builtin-module.js';
import { isUrlText } from '../../base/url.js';
import { VhdxError } from '../../errors.js';
import type { Candidate } from '../../image/identify.js';
import { openDiscreetly } from '../../io/discreet.js';
import type { VhdxInput } from '../../io/open.js';
import type { RandomAccessSource } from '../../io/random-access.js';
import type { OpenOptions } from '../open-options.js';
import { openPlace, whyRefused } from './paths.js';

/** Images of one folder that are looked into; a folder of more is no folder of disks. */
const MAX_IMAGES = 1000;

/** Paths of the images in a folder, by their names' endings, sorted, and how many more there are. */
export async function listImages(folder: string): Promise<{ images: string[]; unlisted: number }> {
  const [fs, paths] = [builtinModule('fs'), builtinModule('path')];
  if (!fs || !paths) return { images: [], unlisted: 0 };
  const names = await fs.promises.readdir(folder);
  const images = names.filter((name) => /\.a?vhdx$/i.test(name)).sort();
  const listed = images.slice(0, MAX_IMAGES).map((name) => paths.join(folder, name));
  return { images: listed, unlisted: images.length - listed.length };
}

/** How candidates are opened and identified: handed over, since few images have a parent and all are opened by these. */
export interface CandidateOpener {
  readonly open: (input: VhdxInput, options: OpenOptions) => Promise<RandomAccessSource>;
  readonly identify: (source: RandomAccessSource, options: OpenOptions) => Promise<Candidate>;
}

/** The files that the caller handed over as candidates for every member of a chain. Each is taken once. */
export class HandedOver {
  readonly #opener: CandidateOpener;
  readonly #options: OpenOptions;
  readonly #inputs: readonly VhdxInput[];
  #free: Candidate[] | undefined;
  /** What was not looked at in the folders, and why: a line each. */
  readonly passedOver: string[] = [];
  /** Whether a file was not looked at that `followParents` would allow. */
  followable = false;

  constructor(opener: CandidateOpener, inputs: readonly VhdxInput[], options: OpenOptions) {
    this.#opener = opener;
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
      if (folder === undefined) this.#free.push(await this.#identify(() => this.#opener.open(input, this.#options)));
      else await this.#openFolder(folder, this.#free);
    }
    return this.#free;
  }

  /** Adds the images of a folder. A file that was named must be readable; one of many in a folder may be in use. */
  async #openFolder(folder: string, found: Candidate[]): Promise<void> {
    // A link must not lead out of the folder: who can put one there may not be who can read what it leads to.
    const within = this.#options.followParents === 'anywhere' ? undefined : folder;
    const { images, unlisted } = await listImages(folder);
    if (unlisted > 0) this.passedOver.push(`${folder} has ${unlisted} more images, which were not looked at`);
    for (const path of images) {
      try {
        const refusal = whyRefused({ key: 'folder', text: path, path }, within);
        this.followable ||= refusal?.followable === true;
        if (refusal) this.passedOver.push(`${path}: ${refusal.why}`);
        else found.push(await this.#identify(() => openDiscreetly(() => openPlace(path, within), this.#options)));
      } catch (error) {
        this.#options.signal?.throwIfAborted();
        if (!(error instanceof VhdxError)) throw error;
        this.passedOver.push(`${path}: ${error.reason}`);
      }
    }
  }

  async #identify(open: () => Promise<RandomAccessSource>): Promise<Candidate> {
    return this.#opener.identify(await open(), this.#options);
  }
}

/** The path of a folder, if that is what an input names. */
async function isFolder(input: VhdxInput): Promise<string | undefined> {
  const fs = builtinModule('fs');
  if (typeof input !== 'string' || isUrlText(input) || !fs) return undefined;
  const stats = await fs.promises.stat(input).catch(() => undefined);
  return stats?.isDirectory() ? input : undefined;
}
