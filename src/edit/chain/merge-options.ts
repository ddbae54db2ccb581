import type { ProgressOptions, WarningOptions } from '../../base/options.js';
import type { OpenOptions } from '../../disk/open-options.js';
import type { RandomAccessFile } from '../../io/random-access.js';
import type { VhdxTarget } from '../target.js';

/** Options of `mergeVhdx`. `base` and `into` exclude each other. */
export interface MergeOptions
  extends Pick<OpenOptions, 'parent' | 'followParents' | 'ignoreParentMismatch' | 'http' | 'signal'>,
    ProgressOptions,
    WarningOptions {
  /**
   * The member of the chain that gets everything above it: a path, or the file that was handed over as a parent. The
   * direct parent if it is not given.
   */
  readonly base?: string | RandomAccessFile | undefined;
  /**
   * A new file that gets everything the child reads as, with no parent, instead of the base: then nothing else is touched,
   * and no other child can break. What is there already is never replaced.
   */
  readonly into?: VhdxTarget | undefined;
  /** Merges although other children will not fit any more, or a folder cannot be listed to look for them. */
  readonly force?: boolean | undefined;
  /** Says what would be done, and writes nothing. */
  readonly dryRun?: boolean | undefined;
}

/** What a merge did, or with `dryRun` would do. Sizes in bytes. */
export interface MergeReport {
  /** Path or name of the image that holds everything now: the base, or the new file. */
  readonly base: string;
  /** Paths or names of the images that are not needed any more: the child, and those between it and the base. */
  readonly merged: readonly string[];
  /** How much data was copied. */
  readonly copied: number;
  /** How much was made zeros. */
  readonly zeroed: number;
  /** Size of the disk that the base held before. */
  readonly sizeBefore: number;
  /** Size of the disk that the base holds now. */
  readonly sizeAfter: number;
  /** Paths of other children, found in the folders of their parents, that do not fit any more. */
  readonly broken: readonly string[];
  /** Paths of children of the merged child, found in its folder: they must be rebased onto the base. */
  readonly orphans: readonly string[];
}
