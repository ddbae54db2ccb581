import type { WarningOptions } from '../../base/options.js';
import type { OpenOptions } from '../../disk/open-options.js';

/** Options of `editVhdx`. */
export interface EditOptions
  extends Pick<
      OpenOptions,
      'parent' | 'followParents' | 'ignoreParentMismatch' | 'untrusted' | 'maxLogLength' | 'signal' | 'http'
    >,
    WarningOptions {}
