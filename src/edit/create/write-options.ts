import type { OpenOptions } from '../../disk/open-options.js';
import type { DamagedRange } from '../../disk/salvage.js';
import type { DiskFormat } from '../../vhd/disk-format.js';
import type { CreateOptions } from './create-options.js';

/**
 * What a new image with the content of another disk is to be: as for `createVhdx`, but for the size, which is that of the
 * source. What is not given is taken over from the source: block and sector sizes of a VHDX, and of a VHDX or VHD the
 * identity and, unless it is differencing, the type.
 */
export interface WriteVhdxOptions extends Omit<CreateOptions, 'size'> {
  /** The format of the source, if it is not to be found out; `'raw'` for a raw disk whose content is not trusted. */
  readonly format?: DiskFormat | undefined;
  /** How the source is opened, such as where its parents are. */
  readonly sourceOptions?: OpenOptions | undefined;
  /**
   * Adds zeros up to the next sector to a source whose size is not a multiple of the logical sector size. It is refused
   * otherwise.
   */
  readonly pad?: boolean | undefined;
  /** Takes the ranges of the source that cannot be read, in order, which become zeros; without it the first rejects. */
  readonly onDamage?: ((range: DamagedRange) => void) | undefined;
}

/** A raw disk that comes once, from its first byte to its last: a body of `fetch`, standard input. */
export type ForwardInput = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Options of `vhdxStream`: those of `writeVhdx` but for what is about a file. With `parent`, `parentPath` must be given,
 * because a stream has no folder. Damage that the structures of the source show, and all of it with `parent`, is reported
 * before the promise settles; other damage while the stream is read.
 */
export interface StreamOptions extends Omit<WriteVhdxOptions, 'overwrite' | 'onWarning'> {}

/** A VHDX as a stream. */
export interface VhdxStream {
  /** Its length in bytes. */
  readonly size: number;
  /** Its bytes, in chunks of at most 4 MiB, made when they are asked for. */
  readonly stream: ReadableStream<Uint8Array>;
}
