import { builtinModule } from '../base/builtin-module.js';
import { openInput } from '../disk/open-input.js';
import type { OpenOptions } from '../disk/open-options.js';
import { FOLLOW_PARENTS, IGNORE_MISMATCH, NAME_PARENT } from '../disk/parents/errors.js';
import { likeNamed, openPlace, type ParentPath, parentPaths, whyRefused } from '../disk/parents/paths.js';
import { VhdxError } from '../errors.js';
import { ZERO_GUID } from '../format/guid.js';
import { parseVhdFooter, VHD_FOOTER_SIZE } from '../format/vhd-footer.js';
import type { VhdxInput } from '../io/open.js';
import type { RandomAccessSource } from '../io/random-access.js';
import { type Finding, finding, type RuleCode } from '../rules.js';
import type { VhdImage } from './vhd-image.js';

/** The place of what is wrong between a child and its parent. */
export const LOCATOR = { structure: 'parent locator' } as const;

type Found = Promise<RandomAccessSource | undefined>;

/**
 * Finds the parent of a VHD by its unique id: among what the caller handed over, then where the image says that it is, as
 * far as that is allowed, then in the child's folder.
 */
export class VhdParentSearch {
  readonly #image: VhdImage;
  readonly #depth: number;
  readonly #findings: Finding[];
  readonly #options: OpenOptions;
  /** Unique id of the parent. */
  readonly #wanted: string;
  /** Places where there is nothing. */
  readonly #attempts: string[] = [];
  /** Files that are meant and are not the parent. */
  readonly #others: string[] = [];
  /** The first of them that is a VHD. */
  #unfit: RandomAccessSource | undefined;
  #followable = false;
  readonly #tried = new Set<string | undefined>();

  constructor(image: VhdImage, depth: number, findings: Finding[], options: OpenOptions) {
    this.#image = image;
    this.#depth = depth;
    this.#findings = findings;
    this.#options = options;
    this.#wanted = image.blocks?.header.parentId ?? ZERO_GUID;
    this.#tried.add(image.source.path);
  }

  /**
   * The file of the parent, which the caller closes.
   *
   * @throws VhdxError with a finding: `parent-missing`, `parent-mismatch` or `parent-unverified`
   */
  async run(): Promise<RandomAccessSource> {
    if (this.#wanted === ZERO_GUID && !this.#options.ignoreParentMismatch) {
      const message = 'the image does not say which disk its parent is';
      throw refusal('parent-unverified', message, { advice: [IGNORE_MISMATCH] });
    }
    const found = (await this.#handedOver()) ?? (await this.#inPlaces());
    const unfit = this.#unfit;
    if (found || !unfit || !this.#options.ignoreParentMismatch) {
      await unfit?.close?.();
      if (found) return found;
      throw this.#failure();
    }
    const other = this.#options.untrusted ? 'another' : this.#others[0];
    const message = `the parent must have unique id ${this.#wanted}; ${other} was taken, as was asked for`;
    this.#findings.push(finding('parent-mismatch', message, LOCATOR));
    return unfit;
  }

  #failure(): VhdxError {
    const { untrusted } = this.#options;
    if (this.#others.length > 0) {
      const attempts = untrusted ? [] : this.#others;
      const message = `the parent must have unique id ${this.#wanted}`;
      return refusal('parent-mismatch', message, { attempts, advice: [IGNORE_MISMATCH] });
    }
    const advice = [NAME_PARENT, ...(this.#followable ? [FOLLOW_PARENTS] : [])];
    const message = `the parent with unique id ${this.#wanted} was not found`;
    return refusal('parent-missing', message, { attempts: untrusted ? [] : this.#attempts, advice });
  }

  async #handedOver(): Found {
    const { locator } = this.#image;
    const request = { linkages: [this.#wanted], locator, depth: this.#depth };
    for (const { input, isMeant } of await handedOver(this.#options, request)) {
      const found = await this.#consider(await openInput(input, this.#options), isMeant);
      if (found) return found;
    }
    return undefined;
  }

  async #inPlaces(): Found {
    const paths = builtinModule('path');
    const { path: childPath } = this.#image.source;
    if (this.#options.untrusted || childPath === undefined || !paths) return undefined;
    const home = paths.dirname(childPath);
    const within = this.#options.followParents === 'anywhere' ? undefined : home;
    for (const place of parentPaths(this.#image.locator, childPath, paths)) {
      const found = await this.#inPlace(place, within);
      if (found) return found;
    }
    for (const path of await vhdsIn(home)) {
      const found = await this.#tryPath(path, within, undefined);
      if (!found) continue;
      const message = `the parent was found as ${path}, by its unique id alone`;
      this.#findings.push(finding('parent-guessed', message, LOCATOR));
      return found;
    }
    return undefined;
  }

  async #inPlace(place: ParentPath, within: string | undefined): Found {
    const refused = whyRefused(place, within);
    const where = `${place.key} ${place.text}`;
    if (refused || place.path === undefined) {
      this.#attempts.push(`${where}: ${refused?.why}`);
      this.#followable ||= refused?.followable === true;
      return undefined;
    }
    const found = await this.#tryPath(place.path, within, where);
    if (found) return found;
    for (const path of await likeNamed(place.path, within)) {
      const alike = await this.#tryPath(path, within, undefined);
      if (alike) return alike;
    }
    return undefined;
  }

  /** `where` says of a path that it is the one that the image has. */
  async #tryPath(path: string, within: string | undefined, where: string | undefined): Found {
    if (this.#tried.has(path)) return undefined;
    this.#tried.add(path);
    try {
      return await this.#consider(await openPlace(path, within), where !== undefined);
    } catch (error) {
      if (!(error instanceof VhdxError) || error.code !== 'read-failed') throw error;
      if (where !== undefined) this.#attempts.push(`${where}: ${error.message}`);
      return undefined;
    }
  }

  /** Takes a file if it is the parent; keeps the first that is meant and is not, and closes the others. */
  async #consider(source: RandomAccessSource, isMeant: boolean): Found {
    const id = await uniqueIdOf(source, this.#options).catch(async (error: unknown) => {
      await source.close?.();
      throw error;
    });
    if (id === this.#wanted && id !== ZERO_GUID) return source;
    if (isMeant) {
      const name = source.path ?? source.name ?? 'the file that was handed over';
      this.#others.push(id === undefined ? `${name} is no VHD with a valid footer` : `${name} has unique id ${id}`);
    }
    if (isMeant && id !== undefined && !this.#unfit) this.#unfit = source;
    else await source.close?.();
    return undefined;
  }
}

interface Handed {
  readonly input: VhdxInput;
  /** Whether it was named for this parent, and not as one of many. */
  readonly isMeant: boolean;
}

/** What the caller handed over as candidates; the images of folders among it. */
async function handedOver(
  { parent }: OpenOptions,
  request: {
    readonly linkages: readonly string[];
    readonly locator: Readonly<Record<string, string>>;
    readonly depth: number;
  },
): Promise<Handed[]> {
  if (parent === undefined || parent === false) return [];
  if (typeof parent === 'function') {
    const input = await parent(request);
    return input === undefined ? [] : [{ input, isMeant: true }];
  }
  const inputs = (Array.isArray(parent) ? parent : [parent]) as readonly VhdxInput[];
  const found: Handed[] = [];
  for (const input of inputs) {
    const images = typeof input === 'string' ? await folderImages(input) : undefined;
    if (images) found.push(...images.map((path) => ({ input: path, isMeant: false })));
    else found.push({ input, isMeant: inputs.length === 1 });
  }
  return found;
}

/** The images of a folder; undefined if the path is not one. */
async function folderImages(path: string): Promise<string[] | undefined> {
  const stats = await builtinModule('fs')
    ?.promises.stat(path)
    .catch(() => undefined);
  return stats?.isDirectory() ? vhdsIn(path) : undefined;
}

/** Paths of the VHDs of a folder, by their names' endings, sorted; a folder of more than 1,000 is no folder of disks. */
async function vhdsIn(folder: string): Promise<string[]> {
  const [fs, paths] = [builtinModule('fs'), builtinModule('path')];
  if (!fs || !paths) return [];
  const names = await fs.promises.readdir(folder).catch(() => []);
  const images = names.filter((name) => /\.a?vhd$/i.test(name)).sort();
  return images.slice(0, 1000).map((name) => paths.join(folder, name));
}

/** The unique id of a VHD by its footer, or by the copy of it; undefined of what is none. */
async function uniqueIdOf(source: RandomAccessSource, options: OpenOptions): Promise<string | undefined> {
  const { size } = source;
  for (const offset of [size - VHD_FOOTER_SIZE, size - VHD_FOOTER_SIZE + 1, 0]) {
    if (offset < 0 || size < VHD_FOOTER_SIZE) continue;
    const bytes = new Uint8Array(Math.min(VHD_FOOTER_SIZE, size - offset));
    await source.readInto(bytes, offset, options);
    const footer = parseVhdFooter(bytes);
    if (footer) return footer.uniqueId;
  }
  return undefined;
}

/** An error about a parent, with the finding that it reports. */
export function refusal(
  code: RuleCode,
  message: string,
  details: { readonly attempts?: readonly string[]; readonly advice?: VhdxError['advice'] } = {},
): VhdxError {
  const found = finding(code, [message, ...(details.attempts ?? [])].join('; '), LOCATOR);
  return new VhdxError(code, `${LOCATOR.structure}: ${message}`, { ...details, ...LOCATOR, finding: found });
}
