import type { ProgressOptions, WarningOptions } from '../../base/options.js';
import type { OpenOptions } from '../../disk/open-options.js';

/** Options of `rebaseVhdx`. */
export interface RebaseOptions
  extends Pick<OpenOptions, 'parent' | 'followParents' | 'ignoreParentMismatch' | 'http' | 'signal'>,
    ProgressOptions,
    WarningOptions {
  /**
   * Only changes what the image says about its parent, and copies nothing: for a parent that is the same and was moved.
   * Its DataWriteGuid must be the one that the image names, unless `ignoreParentMismatch` is given. The present parents
   * are not needed.
   */
  readonly unsafe?: boolean | undefined;
  /**
   * The way from the image's folder to the new parent, as it is stored, such as `.\base.vhdx`. It is found out if both
   * were given as paths, and must be given if not.
   */
  readonly parentPath?: string | undefined;
  /** How the new parent is opened, such as where its own parents are; as the present ones if it is not given. */
  readonly parentOptions?: OpenOptions | undefined;
  /** Says what would be done, and writes nothing. What has to be compared is read. */
  readonly dryRun?: boolean | undefined;
}

/** What a rebase did, or with `dryRun` would do. Sizes in bytes. */
export interface RebaseReport {
  /** Path or name of the new parent; undefined if the image has none any more. */
  readonly parent?: string;
  /** How much was copied from the present parents into the image. */
  readonly copied: number;
  /** How much was made zeros in the image, because the present parents have zeros there. */
  readonly zeroed: number;
  /** Whether the disk may read differently now: nothing shows that the new parent holds what the old one did. */
  readonly mayDiffer: boolean;
  /** Paths of children of the image, found in its folder, that do not fit any more because it may read differently. */
  readonly broken: readonly string[];
}
