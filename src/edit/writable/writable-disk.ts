import { checkRange } from '../../base/byte-range.js';
import { eventLoopYielder, InFlight } from '../../base/concurrency.js';
import { Kind, type RawExtent } from '../../core/bat-calls.js';
import type { CheckOptions, CheckReport } from '../../disk/check.js';
import { VhdxDisk } from '../../disk/disk.js';
import { Member } from '../../disk/member.js';
import { VhdxError } from '../../errors.js';
import { BlockGuard, type Claim } from '../../image/block-guard.js';
import { describe } from '../../image/info.js';
import { OpenImage } from '../../image/open-image.js';
import type { WriteSession } from '../../image/session.js';
import type { ReadOptions } from '../../io/random-access.js';
import { slice } from '../../io/slice.js';
import type { Finding } from '../../rules.js';
import { BlockWriter } from './block-writer.js';

/** Options of a write. */
export type WriteOptions = ReadOptions;

/** Blocks of one call that are changed at a time. */
const BLOCKS_IN_FLIGHT = 4;
/** Extents that an overwrite in place may consist of; more are written block by block. */
const MAX_EXTENTS = 64;

/** What a writable disk is made of. */
export interface WritableDiskParts {
  /** The image, which reads through the session. */
  readonly image: OpenImage;
  readonly session: WriteSession;
  readonly reads: RunningReads;
  readonly parent: VhdxDisk | undefined;
  /** What was found about the disk and its parent. */
  readonly chainFindings: readonly Finding[];
  /** Frees what was taken for writing, such as a lock; called once, when the disk is closed. */
  readonly release: () => Promise<void>;
}

/** The reads of a disk that run now: space that was freed is not used again before they have ended. */
export class RunningReads {
  readonly #running = new Set<Promise<void>>();

  /** Keeps a read until it has settled. */
  track(read: Promise<void>): Promise<void> {
    const running = read.finally(() => this.#running.delete(running));
    this.#running.add(running);
    return running;
  }

  /** Resolves when all reads that run now have ended; undefined if there is none. */
  ended(): Promise<unknown> | undefined {
    return this.#running.size === 0 ? undefined : Promise.allSettled(this.#running);
  }
}

/** The image of a disk that is written: it says which reads are under way. */
class WrittenMember extends Member {
  readonly #reads: RunningReads;

  constructor(image: OpenImage, parent: Member | undefined, reads: RunningReads) {
    super(image, parent);
    this.#reads = reads;
  }

  override readInto(target: Uint8Array, offset: number, options?: ReadOptions): Promise<void> {
    return this.#reads.track(super.readInto(target, offset, options));
  }
}

/**
 * A virtual hard disk that can be written; made by `editVhdx`. Everything that reads sees at once what was written.
 *
 * What was written is durable when {@link flush} has resolved, and at the latest when {@link close} has. If the process
 * ends without, or the power fails, the file is valid: each sector holds what was flushed last or something that was
 * written to it afterwards. Concurrent calls are allowed; of two writes that overlap, the one called first goes first.
 */
export class WritableVhdxDisk extends VhdxDisk {
  /** @internal */
  readonly session: WriteSession;
  readonly #chainFindings: readonly Finding[];
  readonly #blocks: BlockWriter;
  readonly #guard: BlockGuard;
  readonly #release: () => Promise<void>;
  readonly #running = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor({ image, session, reads, parent, chainFindings, release }: WritableDiskParts) {
    const { source, layout, translator } = image;
    const { geometry, batOffset } = layout;
    const member = new WrittenMember(image, parent?.member, reads);
    super({ image, source, parent, parentError: undefined, chainFindings, member });
    this.session = session;
    this.#chainFindings = chainFindings;
    this.#guard = new BlockGuard(geometry.blockSize);
    this.#release = release;
    this.#blocks = new BlockWriter({
      geometry,
      batOffset,
      keepsSpace: this.type === 'fixed',
      session,
      read: (target, offset) => this.readInto(target, offset),
      onChange: (change) => translator.replace(change),
    });
  }

  /**
   * Writes bytes to the virtual disk at any offset. They are the caller's again when the promise settles.
   *
   * @throws RangeError if the range leaves the disk; VhdxError `no-space` if the device is full, which harms nothing
   *   else; `session-failed` if the file could not be written: then nothing more is written, and reopening it recovers
   *   all that was flushed; `closed`; the signal's reason, and then some of the bytes may be written
   */
  write(bytes: Uint8Array, offset: number, options: WriteOptions = {}): Promise<void> {
    if (!(bytes instanceof Uint8Array)) return Promise.reject(new TypeError('bytes must be a Uint8Array'));
    const inPlace = options.signal === undefined ? this.#writeInPlace(bytes, offset) : undefined;
    return inPlace ?? this.#write(bytes, offset, options);
  }

  #write(bytes: Uint8Array, offset: number, options: WriteOptions): Promise<void> {
    return this.#run(offset, bytes.length, options, async (claim) => {
      if (await this.#overwrite(bytes, offset, options)) return;
      await this.#guard.claimBlocks(claim, options.signal);
      await this.#eachBlock(offset, bytes.length, options, (part, at) =>
        this.#blocks.write({ ...part, bytes: bytes.subarray(at, at + part.end - part.start) }),
      );
    });
  }

  /** Makes a range read as zeros; blocks that become zeros as a whole give back their space, unless the disk is fixed. */
  zero(offset: number, length: number, options: WriteOptions = {}): Promise<void> {
    return this.#run(offset, length, options, async (claim) => {
      await this.#guard.claimBlocks(claim, options.signal);
      await this.#eachBlock(offset, length, options, (part) => this.#blocks.zero(part));
    });
  }

  /**
   * Says that the contents of a range are not needed any more. Blocks that lie in it as a whole give back their space
   * and read as zeros; everything else of it stays as it is, as does a fixed disk.
   */
  trim(offset: number, length: number, options: WriteOptions = {}): Promise<void> {
    return this.#run(offset, length, options, async (claim) => {
      await this.#guard.claimBlocks(claim, options.signal);
      await this.#eachBlock(offset, length, options, (part) => this.#blocks.trim(part));
    });
  }

  /** Makes everything durable that was written before the call. Callers at one time share the work. */
  async flush(): Promise<void> {
    this.#checkOpen();
    await this.session.flush();
  }

  /** Makes everything durable, and checks what can be checked without reading payload, as the image is now. */
  override async check(options: CheckOptions = {}): Promise<CheckReport> {
    await this.flush();
    const { checkImage, withParent } = await import('../../disk/check.js');
    const { core, examination } = this.member.image;
    // The file as it will be: until it is closed it is longer than it needs to be.
    const source = slice(this.session.source, 0, this.session.end);
    const image = new OpenImage(core, { ...examination, source });
    try {
      const info = describe(image.examination, this.session.end);
      const report = await checkImage(image, info, this.#chainFindings, options);
      return this.parent ? withParent(report, await this.parent.check(options)) : report;
    } finally {
      await image.close();
    }
  }

  /**
   * Makes everything durable, leaves a clean file that ends with its last structure, and closes it. After a failure
   * nothing is written: the file is closed, it stays dirty, and the promise rejects with the first error.
   */
  override close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#running);
    await this.#guard.empty();
    try {
      await this.session.close();
    } finally {
      try {
        await super.close();
      } finally {
        await this.#release();
      }
    }
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new VhdxError('closed', 'the disk was closed');
  }

  /** Runs an operation on a range, after those that came before it and touch the same bytes. */
  async #run(
    offset: number,
    length: number,
    { signal }: WriteOptions,
    operation: (claim: Claim) => Promise<void>,
  ): Promise<void> {
    signal?.throwIfAborted();
    this.#checkOpen();
    checkRange(this.size, offset, length);
    if (length === 0) return;
    const run = (async () => {
      const claim = await this.#guard.claim(offset, offset + length, signal);
      try {
        await operation(claim);
      } finally {
        this.#guard.release(claim);
      }
    })();
    this.#running.add(run);
    try {
      await run;
    } finally {
      this.#running.delete(run);
    }
  }

  /**
   * The common case, with as few promises as can be: the range is stored in one piece, nothing else touches it, and the
   * session has begun. Undefined if it is another one.
   */
  #writeInPlace(bytes: Uint8Array, offset: number): Promise<void> | undefined {
    const end = offset + bytes.length;
    if (this.#closing !== undefined || !this.session.isBegunVisibly) return undefined;
    if (!(Number.isSafeInteger(offset) && offset >= 0 && end <= this.size && end > offset)) return undefined;
    const claim = this.#guard.claimFree(offset, end);
    if (claim === undefined) return undefined;
    const { translator } = this.member.image;
    const extent = translator.only(translator.begin(offset, bytes.length), end);
    if (extent?.kind !== Kind.Data) {
      this.#guard.release(claim);
      return undefined;
    }
    return this.session.writePayload(bytes, extent.fileOffset).then(
      () => this.#guard.release(claim),
      (error: unknown) => {
        this.#guard.release(claim);
        throw error;
      },
    );
  }

  /** Overwrites a range in place if all of it is stored in this file; false if it is not. */
  async #overwrite(bytes: Uint8Array, offset: number, { signal }: WriteOptions): Promise<boolean> {
    const { translator } = this.member.image;
    const count = translator.begin(offset, bytes.length);
    const one = translator.only(count, offset + bytes.length);
    const extents: RawExtent[] = one ? [one] : [];
    if (!one) {
      const reached = await translator.translate(offset, bytes.length, extents, MAX_EXTENTS, { signal }, count);
      if (reached < offset + bytes.length) return false;
    }
    if (!extents.every(({ kind }) => kind === Kind.Data)) return false;
    await this.session.begin(true);
    const writes = new InFlight(BLOCKS_IN_FLIGHT);
    for (const extent of extents) {
      const at = extent.offset - offset;
      await writes.add(this.session.writePayload(bytes.subarray(at, at + extent.length), extent.fileOffset));
    }
    await writes.settle();
    return true;
  }

  /** Does something with the part of each block that a range touches; `at` is where the part begins in the range. */
  async #eachBlock(
    offset: number,
    length: number,
    { signal }: WriteOptions,
    change: (part: { block: number; start: number; end: number }, at: number) => Promise<void>,
  ): Promise<void> {
    const changes = new InFlight(BLOCKS_IN_FLIGHT);
    const yieldToEventLoop = eventLoopYielder();
    for (let at = 0; at < length && !changes.failed; ) {
      await yieldToEventLoop(); // a range may have millions of blocks that need no change
      if (signal?.aborted) {
        changes.fail(signal.reason);
        break;
      }
      const block = Math.floor((offset + at) / this.blockSize);
      const start = offset + at - block * this.blockSize;
      const end = Math.min(this.blockSize, start + length - at);
      await changes.add(change({ block, start, end }, at));
      at += end - start;
    }
    await changes.settle();
  }
}
