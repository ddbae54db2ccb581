import type { ProgressOptions, WarningOptions } from '../../base/options.js';
import type { OpenOptions } from '../../disk/open-options.js';
import type { DiskType } from '../../image/info.js';
import type { VhdxInput } from '../../io/open.js';

/** What a new image is to be. Sizes in bytes. */
export interface CreateOptions extends ProgressOptions, WarningOptions {
  /** What a guest sees: more than 0, at most 64 TiB, a multiple of the logical sector size. That of the parent if there is one. */
  readonly size?: number | undefined;
  /** `'differencing'` if there is a parent, else `'dynamic'`. A fixed image is as long as its disk, and sparse where the file system can. */
  readonly type?: DiskType | undefined;
  /** A power of two from 1 MiB to 256 MiB; 2 MiB if it is not given. */
  readonly blockSize?: number | undefined;
  /** 512 (the default) or 4096; that of the parent if there is one. */
  readonly logicalSectorSize?: 512 | 4096 | undefined;
  /** 512 or 4096 (the default); that of the parent if there is one. */
  readonly physicalSectorSize?: 512 | 4096 | undefined;
  /** Length of the log: a multiple of 1 MiB, below 4 GiB; 1 MiB if it is not given. */
  readonly logSize?: number | undefined;
  /**
   * The image that the new one differs from. It is read, never changed, and must not be written afterwards, because
   * that would break its children.
   */
  readonly parent?: VhdxInput | undefined;
  /**
   * The way from the new image's folder to the parent, as it is stored, such as `.\base.vhdx`. It is found out if both
   * were given as paths, and must be given if not.
   */
  readonly parentPath?: string | undefined;
  /** How the parent is opened, such as where its own parents are. */
  readonly parentOptions?: OpenOptions | undefined;
  /** VirtualDiskId, a GUID; a random one if it is not given, and that of the parent if there is one. */
  readonly id?: string | undefined;
  /** Replaces what is there. Its bytes are gone as soon as the work begins. */
  readonly overwrite?: boolean | undefined;
  /** Aborts the work; what was begun is removed. */
  readonly signal?: AbortSignal | undefined;
}
