/// <reference lib="esnext.disposable" preserve="true" />

import { checkRange, rangeOf } from '../base/byte-range.js';
import type { ProgressOptions, RangeOptions } from '../base/options.js';
import type { Core } from '../core/instance.js';
import { VhdxError } from '../errors.js';
import { type DiskInfo, type DiskType, describe } from '../image/info.js';
import type { OpenImage } from '../image/open-image.js';
import type { Extent, RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { ArrivingSource } from '../io/sequential-reads.js';
import type { Finding } from '../rules.js';
import type { CheckOptions, CheckReport } from './check.js';
import { checksumOf } from './checksum.js';
import { Member } from './member.js';
import { extentsOf } from './pieces.js';
import { arrivingChunks, byteStreamOf, chunksOfSource, type DiskStreamOptions, streamOfChunks } from './stream.js';
import type { Usage, UsageOptions } from './usage.js';

/** What a disk is made of. */
interface DiskParts {
  readonly image: OpenImage;
  /** The file as it was opened. */
  readonly source: RandomAccessSource;
  /** Extents that one call may go through. */
  readonly maxExtents?: number | undefined;
  /** Whether errors must not hold the path of the file. */
  readonly hidesPath?: boolean | undefined;
  readonly parent: VhdxDisk | undefined;
  readonly parentError: VhdxError | undefined;
  /** What was found about it and its parent. */
  readonly chainFindings: readonly Finding[];
  /** What reads the image, if it is not to be made here. */
  readonly member?: Member;
}

/**
 * An open virtual hard disk. It is a source of the virtual disk's bytes itself, so whatever reads a source (a
 * partition, an image inside the image) can be put on it. Nothing is ever written.
 *
 * Made by `openVhdx`. Concurrent calls are safe. Offsets and lengths are in bytes and need not be aligned.
 */
export class VhdxDisk implements RandomAccessSource {
  /** Virtual size in bytes. */
  readonly size: number;
  /** Fixed, dynamic or differencing. */
  readonly type: DiskType;
  /** Size of a payload block in bytes. */
  readonly blockSize: number;
  /** In bytes: 512 or 4096. */
  readonly logicalSectorSize: number;
  /** In bytes: 512 or 4096. */
  readonly physicalSectorSize: number;
  /** VirtualDiskId, lower case, without braces; undefined in the few images that have none, or one of zeros. */
  readonly id: string | undefined;
  /** What the file is called, if it has a name. */
  readonly name?: string;
  /** Absolute path of the file, if it was opened by a path. */
  readonly path?: string;
  /** Everything that the image says about itself: plain data. */
  readonly info: DiskInfo;
  /** What is wrong and survivable, or worth knowing. {@link check} looks further. */
  readonly findings: readonly Finding[];
  /** The disk that this one differs from; undefined if there is none or it was not available. */
  readonly parent: VhdxDisk | undefined;
  /** Why the disk was opened without its parent, if that is due to `incompleteChain: 'open'`. */
  readonly parentError?: VhdxError;
  /** @internal */
  readonly core: Core;
  readonly #fileSize: number;
  readonly #chainFindings: readonly Finding[];
  /** @internal */
  readonly member: Member;
  /** @internal Present if a file of the chain has it. */
  readonly arriving?: NonNullable<ArrivingSource['arriving']>;

  /** @internal */
  constructor({ image, source, maxExtents, hidesPath, parent, parentError, chainFindings, member }: DiskParts) {
    const { examination } = image;
    const { name, path, size: fileSize } = source;
    const { metadata } = examination;
    this.size = metadata.virtualSize;
    this.info = describe(examination, fileSize, image.scan?.counts);
    this.type = this.info.type;
    this.blockSize = metadata.blockSize;
    this.logicalSectorSize = metadata.logicalSectorSize;
    this.physicalSectorSize = metadata.physicalSectorSize;
    this.id = metadata.virtualDiskId;
    if (name !== undefined) this.name = name;
    if (path !== undefined) this.path = path;
    this.findings = [...image.findings, ...chainFindings];
    this.#chainFindings = chainFindings;
    this.parent = parent;
    if (parentError !== undefined) this.parentError = parentError;
    this.core = image.core;
    this.#fileSize = fileSize;
    const place = hidesPath ? { ...(name !== undefined && { name }) } : source;
    this.member = member ?? new Member(image, parent?.member, maxExtents, place);
    if (this.member.arrives) {
      this.arriving = (offset, length, signal) => arrivingChunks(this.member, { offset, length }, signal);
    }
    // Here and not in a static block, because of which bundlers would keep the class where it is not used.
    if (Symbol.asyncDispose) Object.defineProperty(this, Symbol.asyncDispose, { value: () => this.close() });
  }

  /**
   * Returns bytes of the virtual disk.
   *
   * @throws RangeError if the range leaves the disk; VhdxError with the code of the broken rule if it touches a
   *   damaged block, `parent-missing` if it is in a parent that is not available, `closed` after {@link close}
   */
  async read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this.size, offset, length);
    const bytes = new Uint8Array(length);
    await this.member.readInto(bytes, offset, options);
    return bytes;
  }

  /** Fills all of `target` with bytes of the virtual disk; rejects as {@link read} does, and then `target` is undefined. */
  readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    return this.member.readInto(target, offset, options);
  }

  /**
   * Returns bytes of the virtual disk without a promise, for parsers and emulators that cannot wait. The disk must have
   * been opened with `sync: true`; nothing else runs until the bytes are there.
   *
   * @throws what {@link read} rejects with; VhdxError `unsupported-input` if the disk was not opened for it
   */
  readSync(offset: number, length: number): Uint8Array<ArrayBuffer> {
    checkRange(this.size, offset, length);
    const bytes = new Uint8Array(length);
    this.readIntoSync(bytes, offset);
    return bytes;
  }

  /** Fills all of `target` as {@link readSync} does; if it throws, `target` is undefined. */
  readIntoSync(target: Uint8Array, offset: number): void {
    const { readSync } = this.member;
    if (!readSync) throw new VhdxError('unsupported-input', 'the disk was not opened with the option sync');
    readSync(target, offset);
  }

  /**
   * Returns bytes of the virtual disk as a stream of chunks of at most 4 MiB; with `type: 'bytes'` as one that fills what
   * its reader brings. RangeError if the range leaves the disk, or for another type.
   */
  stream(options: DiskStreamOptions = {}): ReadableStream<Uint8Array> {
    const { signal, type } = options;
    const range = rangeOf(this.size, options);
    if (type === 'bytes') return byteStreamOf(this, range, signal);
    if (type !== undefined) throw new RangeError(`type must be 'bytes' or not given, not '${String(type)}'`);
    return streamOfChunks(chunksOfSource(this, range, signal));
  }

  /**
   * Lists where the bytes of the virtual disk are: extents in the order of their offsets, without gaps, joined if
   * one continues the other. Reads the BAT and sector bitmaps, never the payload.
   */
  extents(options: RangeOptions = {}): AsyncGenerator<Extent, void, undefined> {
    return extentsOf(this.member, options);
  }

  /**
   * Sums what the disk consists of, bin by bin: what a picture of all of it needs, in a fraction of a second even for
   * 67 million blocks. Covers this image alone: what a parent holds counts as `parent`.
   */
  async usage(options: UsageOptions): Promise<Usage> {
    const { offset, length } = rangeOf(this.size, options);
    const { usageOf } = await import('./usage.js');
    return usageOf(this.member, offset, length, options);
  }

  /**
   * Computes the CRC-32C of the virtual disk's bytes, or of a range of them. Costs what the data costs: holes are not
   * read. Parts can be put together by `crc32cCombine`.
   */
  async checksum(options: RangeOptions & ProgressOptions = {}): Promise<number> {
    const { offset, length } = rangeOf(this.size, options);
    return checksumOf(this.core, this.member, offset, length, options);
  }

  /** Checks everything that can be checked without reading payload, in time linear in the metadata. */
  async check(options: CheckOptions = {}): Promise<CheckReport> {
    const { checkImage, withParent, withPath } = await import('./check.js');
    const { image, place } = this.member;
    const info = describe(image.examination, this.#fileSize);
    const report = withPath(await checkImage(image, info, this.#chainFindings, options), place.path);
    return this.parent ? withParent(report, await this.parent.check(options)) : report;
  }

  /** Closes the disk, its parents and the files that were opened for them. Reads that are running may reject with `closed`. */
  close(): Promise<void> {
    return this.member.close();
  }

  /** {@link close}, for `await using`, if the engine knows it. */
  declare readonly [Symbol.asyncDispose]: () => Promise<void>;
}
