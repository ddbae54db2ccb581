import { builtinModule } from '../base/builtin-module.js';
import { VhdxError } from '../errors.js';
import { fileSource } from '../io/file.js';
import { openSource, type VhdxInput } from '../io/open.js';
import type { RandomAccessSource } from '../io/random-access.js';
import { finding } from '../rules.js';
import { type Candidate, type ChainMember, pathOf } from './candidate.js';
import type { OpenOptions, ParentRequest } from './options.js';
import { type ParentPath, parentPaths } from './parent-paths.js';

/** The child whose parent is looked for. */
export interface Child extends ChainMember {
  /** 1 for the image that was opened. */
  readonly depth: number;
}

/** What the options and the command line call the two ways to say where a parent is. */
const BY_HAND = 'name it with the option parent (--parent FILE)';
const FOLLOW = "allow it with followParents: 'anywhere' (--follow-parents)";

/**
 * Finds the parents of a chain: among what the caller handed over, then where the images say that they are.
 * What was opened and not taken is closed by {@link close}.
 */
export class ParentFinder {
  readonly #options: OpenOptions;
  readonly #examine: (input: RandomAccessSource) => Promise<Candidate>;
  #handedOver: Candidate[] | undefined;

  /** `examine` reads what a file says about itself, and closes it where that fails. */
  constructor(options: OpenOptions, examine: (input: RandomAccessSource) => Promise<Candidate>) {
    this.#options = options;
    this.#examine = examine;
  }

  /** The parent of a child. Rejects with `parent-missing` or `parent-mismatch` where there is none that fits. */
  async find(child: Child): Promise<Candidate> {
    const { parent } = this.#options;
    if (typeof parent === 'function') {
      const input = await parent(requestOf(child));
      if (input !== undefined) return this.#byHand(child, input);
    } else if (Array.isArray(parent)) {
      const fitting = await this.#amongHandedOver(child, parent);
      if (fitting) return fitting;
    } else if (parent && child.depth === 1) {
      return this.#byHand(child, parent as VhdxInput);
    }
    return this.#byPath(child);
  }

  /** Closes the candidates that were not taken. */
  async close(): Promise<void> {
    for (const { input } of this.#handedOver ?? []) await input.close?.();
  }

  async #open(input: VhdxInput): Promise<Candidate> {
    return this.#examine(await openSource(input, this.#options));
  }

  async #byHand(child: Child, input: VhdxInput): Promise<Candidate> {
    const candidate = await this.#open(input);
    if (this.#fits(child, candidate)) return candidate;
    await candidate.input.close?.();
    throw mismatch(child, [candidate]);
  }

  async #amongHandedOver(child: Child, inputs: readonly VhdxInput[]): Promise<Candidate | undefined> {
    if (!this.#handedOver) {
      this.#handedOver = [];
      for (const input of inputs) this.#handedOver.push(await this.#open(input));
    }
    const free = this.#handedOver;
    const linkages = linkagesOf(child);
    let found = linkages
      .map((guid) => free.find(({ examination }) => examination.header?.dataWriteGuid === guid))
      .find(Boolean);
    // Without a linkage, or with the deliberate way round, only a single file leaves no doubt which one is meant.
    if (!found && free.length === 1 && (linkages.length === 0 || this.#options.ignoreParentMismatch)) found = free[0];
    if (found) this.#handedOver = free.filter((other) => other !== found);
    return found;
  }

  #fits(child: Child, candidate: Candidate): boolean {
    const { header } = candidate.examination;
    const linkages = linkagesOf(child);
    // One that cannot be understood is told as what it is, not as one that does not fit.
    if (!header || linkages.length === 0 || this.#options.ignoreParentMismatch) return true;
    return linkages.includes(header.dataWriteGuid);
  }

  async #byPath(child: Child): Promise<Candidate> {
    const childPath = pathOf(child.input);
    const paths = builtinModule('path');
    const handedOver = this.#handedOver ?? [];
    if (childPath === undefined || !paths) throw missing(child, [], handedOver);
    const refusals: string[] = [];
    const others: Candidate[] = [];
    let unreadable: Candidate | undefined;
    for (const place of parentPaths(child.examination.metadata.parentLocator?.entries ?? {}, childPath, paths)) {
      const refusal = this.#refusal(place, paths.dirname(childPath));
      if (refusal !== undefined) {
        refusals.push(refusal);
        continue;
      }
      const candidate = await this.#tryPath(place, refusals);
      if (!candidate) continue;
      if (!candidate.examination.header) {
        // Told as what it is, unless another place has the right one.
        await unreadable?.input.close?.();
        unreadable = candidate;
        continue;
      }
      if (this.#fits(child, candidate)) {
        if (place.key === 'same folder') reportGuess(child, place);
        await unreadable?.input.close?.();
        return candidate;
      }
      await candidate.input.close?.();
      others.push(candidate);
    }
    if (unreadable && others.length === 0) return unreadable;
    await unreadable?.input.close?.();
    throw others.length > 0 ? mismatch(child, others) : missing(child, refusals, handedOver);
  }

  async #tryPath(place: ParentPath, refusals: string[]): Promise<Candidate | undefined> {
    try {
      return await this.#examine(await fileSource(place.path as string));
    } catch (error) {
      if (!(error instanceof VhdxError) || error.code !== 'read-failed') throw error;
      refusals.push(`${quote(place)}: ${error.message}`);
      return undefined;
    }
  }

  /** Why a place is not looked at, or undefined where it is. Links are followed before it is decided what a folder holds. */
  #refusal(place: ParentPath, folder: string): string | undefined {
    const anywhere = this.#options.followParents === 'anywhere';
    if (place.path === undefined || (place.refused && !anywhere)) {
      const hint = place.refused === 'network or device path' && place.path !== undefined ? `; ${FOLLOW}` : '';
      return `${quote(place)}: a ${place.refused}${hint}`.replace(': a no', ': no');
    }
    if (anywhere) return undefined;
    const outside = `${quote(place)}: ${place.path} lies outside the child's folder; ${FOLLOW}`;
    if (!isInside(place.path, folder)) return outside;
    const fs = builtinModule('fs');
    try {
      if (fs && !isInside(fs.realpathSync(place.path), fs.realpathSync(folder))) return outside;
    } catch {
      // It does not exist; trying to open it says so.
    }
    return undefined;
  }
}

function isInside(path: string, folder: string): boolean {
  const paths = builtinModule('path');
  const way = paths?.relative(folder, path) ?? '..';
  return way !== '' && way !== '..' && !way.startsWith(`..${paths?.sep}`) && !paths?.isAbsolute(way);
}

const quote = ({ key, text }: ParentPath) => `${key} ${JSON.stringify(text)}`;

const linkagesOf = (child: Child) => child.examination.metadata.parentLocator?.linkages ?? [];

const nameOf = ({ input }: { input: RandomAccessSource }) => input.name ?? 'the file that was handed over';

function requestOf(child: Child): ParentRequest {
  const { parentLocator } = child.examination.metadata;
  return {
    linkages: parentLocator?.linkages ?? [],
    locator: parentLocator?.entries ?? {},
    ...(child.input.name !== undefined && { childName: child.input.name }),
    depth: child.depth,
  };
}

function reportGuess(child: Child, place: ParentPath): void {
  const message = `the parent was found as ${place.path}, by its name alone`;
  child.examination.findings.push(finding('parent-guessed', message, { structure: 'Parent Locator' }));
}

/** Which DataWriteGuid each file has. */
const guidsOf = (files: readonly Candidate[]) =>
  files.map((file) => `${nameOf(file)} has ${file.examination.header?.dataWriteGuid ?? 'none'}`).join(', ');

function mismatch(child: Child, others: readonly Candidate[]): VhdxError {
  const wanted = linkagesOf(child).join(' or ');
  const message = `Parent Locator: the parent must have DataWriteGuid ${wanted}, ${guidsOf(others)}; to read it all the same, set ignoreParentMismatch (--ignore-parent-mismatch)`;
  return new VhdxError('parent-mismatch', message, { structure: 'Parent Locator' });
}

function missing(child: Child, refusals: readonly string[], handedOver: readonly Candidate[]): VhdxError {
  const wanted = linkagesOf(child).join(' or ');
  const entries = child.examination.metadata.parentLocator?.entries ?? {};
  const names = ['relative_path', 'volume_path', 'absolute_win32_path'].flatMap((key) => entries[key] ?? []);
  const tried = handedOver.length > 0 ? [guidsOf(handedOver), ...refusals] : refusals;
  const known = tried.length > 0 ? tried.join('; ') : names.length > 0 ? `it was ${JSON.stringify(names[0])}` : '';
  const why = known === '' ? '' : ` (${known})`;
  const message = `Parent Locator: the parent with DataWriteGuid ${wanted || '(not given)'} was not found${why}; ${BY_HAND}`;
  return new VhdxError('parent-missing', message, { structure: 'Parent Locator' });
}
