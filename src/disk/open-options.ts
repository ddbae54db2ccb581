import { MiB } from '../base/units.js';
import type { ReplayMode } from '../image/examination.js';
import type { HttpOptions } from '../io/http/source.js';
import type { VhdxInput } from '../io/open.js';

/** What a differencing image asks for when its parent is looked for. */
export interface ParentRequest {
  /** The DataWriteGuids of the parent that fits, most wanted first; lower case, no braces. */
  readonly linkages: readonly string[];
  /** The keys and values of the parent locator, `relative_path` among them, as the image has them. */
  readonly locator: Readonly<Record<string, string>>;
  /** What the child is called, where it has a name. */
  readonly childName?: string;
  /** How many children there are above the parent: 1 for the parent of the image that is being opened. */
  readonly depth: number;
}

/**
 * Where parents come from, beside the paths in the images. Whatever is found is taken only if its DataWriteGuid is the
 * one that the child was made for.
 *
 * - one input or several: candidates for every member of the chain; the path of a folder means all images in it;
 * - a function: asked for each parent; where it gives undefined, the paths in the image are tried;
 * - `false`: the image is opened alone, and reads of what its parent holds reject with `parent-missing`.
 */
export type ParentOption =
  | VhdxInput
  | readonly VhdxInput[]
  | ((request: ParentRequest) => VhdxInput | undefined | Promise<VhdxInput | undefined>)
  | false;

/** Options of `openVhdx`. */
export interface OpenOptions {
  /** Aborts the opening. */
  readonly signal?: AbortSignal | undefined;
  /** Turns every finding but those of severity `info` into a rejection; the whole BAT is checked for that. */
  readonly strict?: boolean | undefined;
  /** What to do with a dirty image: replay its log in memory (the default), or refuse it. The file is never written. */
  readonly replay?: ReplayMode | undefined;
  /** Where the parents of a differencing image come from. By default its own paths are tried, where there is a file system. */
  readonly parent?: ParentOption | undefined;
  /**
   * How far the paths in an image are followed: no further than the child's own folder and what is below it
   * (`'folder'`, the default), or to wherever they lead (`'anywhere'`), network paths too.
   */
  readonly followParents?: 'folder' | 'anywhere' | undefined;
  /**
   * Takes a parent whose DataWriteGuid is not the one that the child was made for, or cannot be compared, if none is
   * found that fits. What is read may be garbage; the disk keeps a finding that says so.
   */
  readonly ignoreParentMismatch?: boolean | undefined;
  /**
   * What to do where a parent is missing, damaged or another one: refuse the image (the default), or open the part of
   * the chain above it. Then a finding says what is wrong, and reads of what the parent holds reject.
   */
  readonly incompleteChain?: 'refuse' | 'open' | undefined;
  /**
   * Opens an image that is at fault as a whole, and so is refused otherwise: no valid header or region table, a
   * signature that was overwritten, a log that cannot be replayed, a file shorter than its log says. What its
   * structures still say is read as unverified: it may be stale or garbage. A finding `salvage-…` says what is assumed,
   * one for each assumption, those about parents included.
   */
  readonly salvage?: 'unverified' | undefined;
  /**
   * The image comes from a source that is not trusted, such as a user of a server. No file is opened and no folder is
   * listed because of what the image says: parents come from the option `parent` alone. Errors and findings hold no
   * absolute path and no GUID but the image's own. `maxExtents` is 4,194,304 and `maxLogLength` 64 MiB, if they are not
   * given.
   */
  readonly untrusted?: boolean | undefined;
  /**
   * Most extents that one call on the disk may go through: a read, `extents`, `stream`, `checksum`, an export or a
   * comparison. One more rejects with `limit-exceeded`. No limit by default. For servers: the sector bitmaps of an image
   * of 14 MiB can describe 100 million extents. What else a call costs is bounded by the metadata, and by a signal.
   */
  readonly maxExtents?: number | undefined;
  /**
   * Longest log that is replayed, in bytes; a dirty image with a longer one is refused with `log-too-large`. No limit by
   * default, but for that of the format, 4 GiB, all of which must be read and summed. Windows and QEMU make logs of 1 MiB.
   */
  readonly maxLogLength?: number | undefined;
  /**
   * Makes `readSync` and `readIntoSync` possible, for what cannot wait: rejects with `unsupported-input` if a file of the
   * chain cannot be read without a promise. Paths can in Node, Bun and Deno, bytes anywhere, a `File` or `Blob` in a
   * worker, a source of your own if it has `readIntoSync`, a URL never.
   */
  readonly sync?: boolean | undefined;
  /** How to talk to the server of a remote image. */
  readonly http?: HttpOptions | undefined;
}

/** Extents that one call may go through on a disk of an untrusted image, if the caller does not say. */
const UNTRUSTED_EXTENTS = 2 ** 22;
/** Longest log of an untrusted image that is replayed, in bytes, if the caller does not say. */
const UNTRUSTED_LOG = 64 * MiB;

/**
 * The options with what `untrusted` means for those that were not given.
 *
 * @throws RangeError for a limit that is no such number
 */
export function withLimits<Options extends OpenOptions>(options: Options): Options {
  const { untrusted } = options;
  const maxExtents = options.maxExtents === undefined && untrusted ? UNTRUSTED_EXTENTS : options.maxExtents;
  const maxLogLength = options.maxLogLength === undefined && untrusted ? UNTRUSTED_LOG : options.maxLogLength;
  checkLimit('maxExtents', maxExtents, 1);
  checkLimit('maxLogLength', maxLogLength, 0);
  return { ...options, maxExtents, maxLogLength };
}

function checkLimit(name: string, limit: number | undefined, least: number): void {
  if (limit === undefined || (Number.isInteger(limit) && limit >= least)) return;
  throw new RangeError(`${name} must be a whole number from ${least} up, not ${limit}`);
}
