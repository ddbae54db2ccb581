import type { ReplayMode } from '../image/examine.js';
import type { HttpOptions } from '../io/http/source.js';
import type { VhdxInput } from '../io/open.js';

/** What a differencing image wants of whoever looks for its parent. */
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
 * Where parents come from:
 *
 * - one input: the parent of the image that is being opened, named by hand;
 * - several: candidates for the whole chain, matched by their DataWriteGuid;
 * - a function: asked for each parent; where it gives undefined, the paths in the image are tried;
 * - `false`: the image is opened alone, and reads of what lies in its parent reject with `parent-missing`.
 */
export type ParentOption =
  | VhdxInput
  | readonly VhdxInput[]
  | ((request: ParentRequest) => VhdxInput | undefined | Promise<VhdxInput | undefined>)
  | false;

/** Options of `openVhdx`. */
export interface OpenOptions {
  /** Gives the opening up. */
  readonly signal?: AbortSignal | undefined;
  /** Turns every finding but those of severity `info` into a rejection; the whole BAT is checked for that. */
  readonly strict?: boolean | undefined;
  /** What to do with a dirty image: replay its log in memory (the default), or refuse it. The file is never written. */
  readonly replay?: ReplayMode | undefined;
  /** Where the parents of a differencing image come from. By default its own paths are tried, where there is a file system. */
  readonly parent?: ParentOption | undefined;
  /**
   * How far the paths in an image are followed: no further than the child's own folder and what is below it
   * (`'folder'`, the default), or to wherever they point (`'anywhere'`), network paths too.
   */
  readonly followParents?: 'folder' | 'anywhere' | undefined;
  /** Takes a parent whose DataWriteGuid is not the one that the child was made for. What is read may be garbage. */
  readonly ignoreParentMismatch?: boolean | undefined;
  /** How to talk to the server of a remote image. */
  readonly http?: HttpOptions | undefined;
}
