import { checkRange, rangeOf } from '../base/byte-range.js';
import type { ProgressOptions, RangeOptions } from '../base/options.js';
import { loadCore } from '../core/load.js';
import { type CheckReport, judge } from '../disk/check.js';
import { checksumOf } from '../disk/checksum.js';
import { VhdxError } from '../errors.js';
import { ZERO_GUID } from '../format/guid.js';
import { NOT_STORED } from '../format/vhd-header.js';
import type { DiskType } from '../image/info.js';
import type { Extent, RandomAccessSource, ReadOptions } from '../io/random-access.js';
import type { Finding, Severity } from '../rules.js';
import type { VhdImage } from './vhd-image.js';
import { VhdReader } from './vhd-reader.js';

/** What a VHD says about itself: plain data. Sizes and offsets in bytes. */
export interface VhdInfo {
  /** Fixed, dynamic or differencing. */
  readonly type: DiskType;
  /** What a guest sees: the current size of the footer, never its geometry. */
  readonly virtualSize: number;
  /** Of the file. */
  readonly fileSize: number;
  /** Of a block; undefined of a fixed disk. */
  readonly blockSize?: number;
  /** How many blocks are stored; undefined of a fixed disk. */
  readonly storedBlocks?: number;
  /** The program that wrote it, as four characters. */
  readonly creator: string;
  /** When it was made, as the footer says. */
  readonly created: string;
  /** Unique id of the parent of a differencing disk. */
  readonly parentId?: string;
  /** Name of the parent's file, as the disk has it. */
  readonly parentName?: string;
}

/**
 * An open VHD of version 1: fixed, dynamic or differencing. It is a source of the disk's bytes. Nothing is written.
 * Made by `openDisk`.
 */
export class VhdDisk implements RandomAccessSource {
  /** Virtual size in bytes. */
  readonly size: number;
  /** Fixed, dynamic or differencing. */
  readonly type: DiskType;
  /** 512: a VHD has no other. */
  readonly logicalSectorSize = 512;
  /** Its unique id, in the form of a GUID; undefined if it is zero. */
  readonly id: string | undefined;
  /** What the file is called, where it has a name. */
  readonly name?: string;
  /** Absolute path of the file, where it was opened by a path. */
  readonly path?: string;
  /** What it says about itself. */
  readonly info: VhdInfo;
  /** What is wrong and survivable, or worth knowing. */
  readonly findings: readonly Finding[];
  /** The disk that this one differs from. */
  readonly parent: VhdDisk | undefined;
  readonly #image: VhdImage;
  readonly #reader: VhdReader;
  #closed = false;

  /** @internal */
  constructor(image: VhdImage, parent: VhdDisk | undefined, chainFindings: readonly Finding[]) {
    const { source, footer, blocks, type } = image;
    this.size = footer.currentSize;
    this.type = type;
    this.id = footer.uniqueId === ZERO_GUID ? undefined : footer.uniqueId;
    if (source.name !== undefined) this.name = source.name;
    if (source.path !== undefined) this.path = source.path;
    this.parent = parent;
    this.#image = image;
    this.#reader = new VhdReader(image, parent);
    this.findings = [...image.findings, ...this.#reader.damages(), ...chainFindings];
    this.info = {
      type,
      virtualSize: footer.currentSize,
      fileSize: source.size,
      ...(blocks && {
        blockSize: blocks.header.blockSize,
        storedBlocks: blocks.bat.reduce((sum, sector) => sum + (sector === NOT_STORED ? 0 : 1), 0),
      }),
      creator: footer.creator,
      created: new Date(Date.UTC(2000, 0, 1) + footer.timestamp * 1000).toISOString(),
      ...(type === 'differencing' && { parentId: blocks?.header.parentId, parentName: blocks?.header.parentName }),
    } as VhdInfo;
  }

  /**
   * Returns bytes of the disk.
   *
   * @throws RangeError if the range leaves the disk; VhdxError `vhd-block` if it touches a damaged block, `parent-missing`
   *   if it is in a parent that is not available, `closed` after {@link close}
   */
  async read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(this.size, offset, length);
    const bytes = new Uint8Array(length);
    await this.readInto(bytes, offset, options);
    return bytes;
  }

  /** Fills all of `target` with bytes of the disk; rejects as {@link read} does. */
  async readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    if (this.#closed) throw new VhdxError('closed', 'the disk was closed');
    await this.#reader.readInto(target, offset, options);
  }

  /** Lists where the bytes of the disk are. Reads the bitmaps of blocks, never their data. */
  extents(options: RangeOptions = {}): AsyncGenerator<Extent> {
    return this.#reader.extents(options);
  }

  /** Computes the CRC-32C of the disk's bytes, or of a range of them; holes are not read. */
  async checksum(options: RangeOptions & ProgressOptions = {}): Promise<number> {
    const range = rangeOf(this.size, options);
    return checksumOf(await loadCore(), this, range.offset, range.length, options);
  }

  /**
   * Checks everything that can be checked without reading data, and besides that sectors that were never written are
   * zeros.
   */
  async check(options: ReadOptions = {}): Promise<CheckReport> {
    const absent = await this.#reader.strayBytes(options);
    const findings = [...this.findings, ...absent];
    const counts: Record<Severity, number> = { fatal: 0, block: 0, warning: 0, info: 0 };
    for (const { severity } of findings) counts[severity] += 1;
    const parent = await this.parent?.check(options);
    return {
      status: judge(findings),
      ...(this.name !== undefined && { name: this.name }),
      ...(this.path !== undefined && { path: this.path }),
      fileSize: this.#image.source.size,
      findings,
      counts,
      unlisted: {},
      ...(parent && { parent }),
    };
  }

  /** Closes the disk, its parents and the files that were opened for them. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#image.source.close?.();
    await this.parent?.close();
  }
}
