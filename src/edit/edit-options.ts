import type { OpenOptions } from '../disk/open-options.js';

/** Options of `editVhdx`. */
export type EditOptions = Pick<
  OpenOptions,
  'parent' | 'followParents' | 'ignoreParentMismatch' | 'untrusted' | 'signal' | 'http'
>;
