import type { WarningOptions } from '../base/options.js';

/** What `setVhdx` changes; at least one of the two. */
export interface SetOptions extends WarningOptions {
  /** VirtualDiskId, by which a guest knows the disk: a GUID, or `true` for a new random one. */
  readonly newId?: true | string | undefined;
  /** What the disk says that its sectors physically are, in bytes: 512 or 4096. */
  readonly physicalSectorSize?: 512 | 4096 | undefined;
  /** Aborts the examination; once the first byte is written the work goes on to its end. */
  readonly signal?: AbortSignal | undefined;
}
