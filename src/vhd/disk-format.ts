import type { VhdxDisk } from '../disk/disk.js';
import type { OpenOptions } from '../disk/open-options.js';
import type { RandomAccessSource } from '../io/random-access.js';
import type { VhdDisk } from './vhd-disk.js';

/** The format of a disk that can be read; `raw` is its bytes and nothing else. */
export type DiskFormat = 'vhdx' | 'vhd' | 'raw';

/** Options of `openDisk`. */
export interface OpenDiskOptions extends OpenOptions {
  /**
   * What the input is. If it is not given, its first and last bytes say, and what they do not say is raw. Give `'raw'` for
   * a raw disk whose content is not trusted: a guest could have written the start of another format into it.
   */
  readonly format?: DiskFormat | undefined;
}

/** A disk of whatever format, open to be read. */
export interface OpenDisk {
  /** What it is stored as. */
  readonly format: DiskFormat;
  /** The disk's bytes. */
  readonly source: RandomAccessSource;
  /** The disk of a VHDX image. */
  readonly vhdx?: VhdxDisk;
  /** The disk of a VHD. */
  readonly vhd?: VhdDisk;
  /** Closes what was opened for it. */
  close(): Promise<void>;
}
