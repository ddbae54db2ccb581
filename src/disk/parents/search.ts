import { builtinModule } from '../../base/builtin-module.js';
import { VhdxError } from '../../errors.js';
import { givenGuid } from '../../format/guid.js';
import type { Candidate } from '../../image/identify.js';
import type { VhdxInput } from '../../io/open.js';
import type { RandomAccessSource } from '../../io/random-access.js';
import { finding } from '../../rules.js';
import { type ChainMember, LOCATOR } from '../chain-member.js';
import type { OpenOptions, ParentRequest } from '../open-options.js';
import { type CandidateOpener, HandedOver, listImages } from './candidates.js';
import { describeCandidate, linkagesOf, locatorOf, mismatch, missing, overridden, unverified } from './errors.js';
import { baseName, likeNamed, openPlace, type ParentPath, parentPaths, whyRefused } from './paths.js';

/** A search for the parent of one member: what was tried, and what was found that does not fit. */
interface Search {
  readonly child: ChainMember;
  readonly linkages: readonly string[];
  readonly attempts: string[];
  /** Files that are where the parent should be, or have its name, and do not fit. Closed when the search ends. */
  readonly meant: Candidate[];
  /** Whether a place was not looked at that `followParents` would allow. */
  followable: boolean;
}

/**
 * Finds the parents of a chain: among what the caller handed over, then where the images say that they are, then by
 * their DataWriteGuid in the same folders. A file is taken only if its current DataWriteGuid is one that the child
 * names, unless the caller asked for the opposite and nothing fits.
 */
export class ParentFinder {
  readonly #opener: CandidateOpener;
  readonly #options: OpenOptions;
  readonly #handedOver: HandedOver;

  constructor(opener: CandidateOpener, options: OpenOptions) {
    this.#opener = opener;
    this.#options = options;
    const { parent } = options;
    const inputs = parent === undefined || parent === false || typeof parent === 'function' ? [] : [parent].flat();
    this.#handedOver = new HandedOver(opener, inputs as VhdxInput[], options);
  }

  /**
   * The file of a member's parent, which the caller closes. It may be no VHDX file at all, if it is clear that it is
   * meant: then it says itself what it is.
   *
   * @returns the error with a finding if there is none: `parent-missing`, `parent-mismatch` or `parent-unverified`
   * @throws what reading the candidates does
   */
  async find(child: ChainMember): Promise<RandomAccessSource | VhdxError> {
    const linkages = linkagesOf(child);
    if (linkages.length === 0 && !this.#options.ignoreParentMismatch) return unverified(child, this.#options);
    const search: Search = { child, linkages, attempts: [], meant: [], followable: false };
    let taken: Candidate | VhdxError | undefined;
    try {
      taken = (await this.#fitting(search)) ?? this.#notFitting(search);
      return taken instanceof VhdxError ? taken : taken.source;
    } finally {
      for (const candidate of search.meant) if (candidate !== taken) await candidate.source.close?.();
    }
  }

  /**
   * Why a file that was found, and opens, is not the parent, now that all of it was examined: undefined if it is. A file that had no
   * valid header may have one now, because salvage believes one that is damaged.
   */
  verify(child: ChainMember, { source, examination }: ChainMember): VhdxError | undefined {
    const { header } = examination;
    if (child.findings.some(({ code }) => OVERRIDDEN.has(code))) return undefined;
    const candidate = { source, dataWriteGuid: givenGuid(header?.dataWriteGuid), isVhdx: true };
    if (fits(linkagesOf(child), candidate)) return undefined;
    if (!this.#options.ignoreParentMismatch) return mismatch(child, [candidate], this.#options);
    child.findings.push(overridden(child, candidate, this.#options));
    return undefined;
  }

  /** Closes the candidates that were not taken. */
  close(): Promise<void> {
    return this.#handedOver.close();
  }

  async #fitting(search: Search): Promise<Candidate | undefined> {
    const { parent } = this.#options;
    if (typeof parent === 'function') {
      const input = await parent(requestOf(search.child));
      if (input !== undefined) {
        const candidate = await this.#identify(await this.#opener.open(input, this.#options));
        if (fits(search.linkages, candidate)) return candidate;
        search.meant.push(candidate);
        return undefined;
      }
    }
    return (await this.#handedOver.takeFitting(search.linkages)) ?? (await this.#inPlaces(search));
  }

  /** What is taken although it does not fit; the error if there is nothing of that kind. */
  #notFitting(search: Search): Candidate | VhdxError {
    const { child, attempts, followable } = search;
    const { ignoreParentMismatch } = this.#options;
    const { free } = this.#handedOver;
    const only = free.length === 1 ? free[0] : undefined;
    if (only && (ignoreParentMismatch || mayBeMeant(search, only))) search.meant.unshift(this.#handedOver.take(only));
    const images = search.meant.filter(({ isVhdx }) => isVhdx);
    const [image] = images;
    if (image && ignoreParentMismatch) {
      child.findings.push(overridden(child, image, this.#options));
      return image;
    }
    if (image) return mismatch(child, images, this.#options);
    if (search.meant[0]) return search.meant[0];
    const { passedOver } = this.#handedOver;
    const tried = this.#options.untrusted
      ? []
      : [...this.#handedOver.free.map(describeCandidate), ...passedOver, ...attempts];
    return missing(child, tried, followable || this.#handedOver.followable, this.#options);
  }

  /** Looks where the image says that its parent is, and then for its DataWriteGuid in the same folders. */
  async #inPlaces(search: Search): Promise<Candidate | undefined> {
    const { child } = search;
    const paths = builtinModule('path');
    const childPath = child.source.path;
    if (this.#options.untrusted || childPath === undefined || !paths) return undefined;
    const home = paths.dirname(childPath);
    const within = this.#options.followParents === 'anywhere' ? undefined : home;
    const folders = new Set([home]);
    const tried = new Set<string>();
    for (const place of parentPaths(locatorOf(child), childPath, paths)) {
      const refusal = whyRefused(place, within);
      if (refusal !== undefined || place.path === undefined) {
        search.attempts.push(`${place.key} ${place.text}: ${refusal?.why}`);
        search.followable ||= refusal?.followable === true;
        continue;
      }
      if (tried.has(place.path)) continue;
      tried.add(place.path);
      folders.add(paths.dirname(place.path));
      const found = await this.#inPlace(search, place, place.path, within);
      if (found) return found;
    }
    return this.#inFolders(search, folders, within);
  }

  /** Tries a path of the image, and if there is nothing, the names that differ from it in case or Unicode form only. */
  async #inPlace(
    search: Search,
    { key, text }: ParentPath,
    path: string,
    within: string | undefined,
  ): Promise<Candidate | undefined> {
    const names = [path];
    for (let i = 0; i < names.length; i++) {
      const name = names[i] as string;
      try {
        const candidate = await this.#identify(await openPlace(name, within));
        if (fits(search.linkages, candidate)) {
          if (key === 'same folder' || i > 0) reportGuess(search, `${name}, by its name`);
          return candidate;
        }
        search.meant.push(candidate);
      } catch (error) {
        if (!(error instanceof VhdxError) || error.code !== 'read-failed') throw error;
        if (i > 0) continue;
        search.attempts.push(`${key} ${text}: ${error.message}`);
        names.push(...(await likeNamed(path, within)));
      }
    }
    return undefined;
  }

  /** Looks for the DataWriteGuid among the images of some folders: the parent may have been renamed. */
  async #inFolders(
    search: Search,
    folders: ReadonlySet<string>,
    within: string | undefined,
  ): Promise<Candidate | undefined> {
    const seen = new Set([search.child.source.path, ...search.meant.map(({ source }) => source.path)]);
    for (const folder of folders) {
      const { images, unlisted } = await listImages(folder).catch(() => ({ images: [], unlisted: 0 }));
      if (unlisted > 0) search.attempts.push(`${folder} has ${unlisted} more images, which were not looked at`);
      for (const path of images) {
        if (seen.has(path)) continue;
        try {
          const candidate = await this.#identify(await openPlace(path, within));
          if (fits(search.linkages, candidate)) {
            reportGuess(search, `${path}, by its DataWriteGuid`);
            return candidate;
          }
          await candidate.source.close?.();
        } catch (error) {
          this.#options.signal?.throwIfAborted();
          if (!(error instanceof VhdxError)) throw error;
        }
      }
    }
    return undefined;
  }

  #identify(source: RandomAccessSource): Promise<Candidate> {
    return this.#opener.identify(source, this.#options);
  }
}

/** Findings about a parent that was taken though it does not fit. */
const OVERRIDDEN: ReadonlySet<string> = new Set(['parent-mismatch', 'parent-unverified']);

const fits = (linkages: readonly string[], { dataWriteGuid }: Candidate): boolean =>
  dataWriteGuid !== undefined && linkages.includes(dataWriteGuid);

/** Whether a file that does not fit is meant to be this parent, and not another member of the chain: by its name. */
function mayBeMeant({ child }: Search, { source }: Candidate): boolean {
  if (source.name === undefined) return true;
  const locator = locatorOf(child);
  const names = ['relative_path', 'volume_path', 'absolute_win32_path'].map((key) => baseName(locator[key] ?? ''));
  return names.includes(source.name);
}

function requestOf(child: ChainMember): ParentRequest {
  const { name } = child.source;
  return {
    linkages: linkagesOf(child),
    locator: locatorOf(child),
    ...(name !== undefined && { childName: name }),
    depth: child.depth + 1,
  };
}

function reportGuess({ child }: Search, how: string): void {
  child.findings.push(finding('parent-guessed', `the parent was found as ${how} alone`, LOCATOR));
}
