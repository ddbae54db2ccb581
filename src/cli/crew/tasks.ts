import type { OpenDiskOptions, OpenOptions } from '../../index.js';

/** A disk that each thread opens for itself. */
export interface CrewDisk {
  readonly file: string;
  /** How the command opened it. */
  readonly options: OpenDiskOptions;
  /** The partition that is read instead of the whole disk. */
  readonly partition: number | undefined;
  /** How many bytes it had then. */
  readonly size: number;
}

/** What threads do together. */
export type Task =
  | { readonly kind: 'checksum'; readonly disk: CrewDisk; readonly offset: number; readonly length: number }
  | { readonly kind: 'compare'; readonly disks: readonly [CrewDisk, CrewDisk] }
  /** Writes what is not zero into a file that has its length already. */
  | { readonly kind: 'convert'; readonly disk: CrewDisk; readonly out: string }
  | { readonly kind: 'check'; readonly file: string; readonly options: OpenOptions };
