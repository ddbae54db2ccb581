import { encodeLogEntry, type LogDescriptor } from '../build-log.js';
import { MiB } from '../encode-primitives.js';
import { encodeHeader, PLAIN_HEADER } from '../encode-structures.js';
import { type ContentNote, taggedBytes } from './content-model.js';
import type { CrashFile } from './crash-file.js';
import { PAGE_SIZE } from './page-image.js';
import { readState, type StateHeader } from './state-reader.js';

/** What a {@link MiniWriter} does wrong on purpose. */
export type Mistake =
  | 'announces the log before its first entry exists' // W12
  | 'applies before the entry is durable' // W26
  | 'logs before the payload is durable' // W34
  | 'says that more of the file was stable than is' // W29
  | 'clears one header only' // W13
  | 'writes both headers at once' // W8
  | 'clears the log before everything is in place' // W13
  | 'reuses freed space at once' // W38
  | 'logs zeros over payload' // W28
  | 'names a tail that is not there' // W23
  | 'goes round the ring'; // W25b

const ZERO_GUID = '00000000-0000-0000-0000-000000000000';

/**
 * A writer of a few lines, one block at a time, in the order of [MS-VHDX] 2.3: what the test bench is tried on. It
 * knows dynamic images of one BAT page and blocks of 1 MiB.
 */
export class MiniWriter {
  readonly #file: CrashFile;
  readonly #mistake: Mistake | undefined;
  readonly #bat: { offset: number; bytes: Uint8Array };
  #header: StateHeader;
  #guids = 0;
  #sequence = 1n;
  #position = 0;
  #stable: number;
  #freed: number[] = [];
  #free: number[] = [];
  #writes: number[] = [];
  #next = 1;

  constructor(file: CrashFile, mistake?: Mistake) {
    this.#file = file;
    this.#mistake = mistake;
    const view = readState(file.before);
    const region = view.regions.find(({ what }) => what.startsWith('2dc27766')) as { offset: number };
    this.#bat = { offset: region.offset, bytes: view.image.read(region.offset, PAGE_SIZE) };
    this.#header = view.header;
    this.#stable = file.size;
  }

  /** Begins a session: new GUIDs, an empty entry, the log announced (W12). */
  async begin(): Promise<void> {
    const log = this.#newGuid();
    const fileWriteGuid = this.#newGuid();
    const dataWriteGuid = this.#newGuid();
    await this.#writeHeader({ fileWriteGuid, dataWriteGuid });
    await this.#file.flush();
    if (this.#mistake !== 'announces the log before its first entry exists') await this.#log(log, []);
    await this.#file.flush();
    await this.#writeHeader({ logGuid: log });
    if (this.#mistake !== 'writes both headers at once') await this.#file.flush();
    await this.#writeHeader({});
    await this.#file.flush();
    if (this.#mistake === 'announces the log before its first entry exists') await this.#log(log, []);
  }

  /** Writes a whole block that has no space yet, or has some. */
  async writeBlock(block: number): Promise<void> {
    const id = this.#note(block, [this.#next]);
    const view = new DataView(this.#bat.bytes.buffer);
    const old = view.getBigUint64(8 * block, true);
    let offset = Number(old >> 20n) * MiB;
    if (Number(old & 7n) !== 6) {
      offset = this.#free.pop() ?? this.#file.size;
      if (offset === this.#file.size) await this.#file.truncate(offset + MiB);
      view.setBigUint64(8 * block, BigInt(offset) | 6n, true);
    }
    // In four writes, so that there is something to lose.
    for (let part = 0; part < MiB; part += MiB / 4) {
      await this.#file.write(taggedBytes(id, block * MiB + part, MiB / 4), offset + part);
    }
  }

  /** Makes a block zeros and frees its space. */
  zeroBlock(block: number): void {
    this.#note(block, [0]);
    const view = new DataView(this.#bat.bytes.buffer);
    this.#freed.push(Number(view.getBigUint64(8 * block, true) >> 20n) * MiB);
    view.setBigUint64(8 * block, 2n, true);
    if (this.#mistake === 'reuses freed space at once') this.#free.push(...this.#freed.splice(0));
  }

  /** Payload durable, entry, durable, in place. */
  async commit(): Promise<void> {
    if (this.#mistake !== 'logs before the payload is durable') {
      await this.#file.flush();
      this.#stable = this.#file.size;
    }
    const bytes = this.#bat.bytes.slice();
    if (this.#mistake === 'goes round the ring' && this.#position + 2 * PAGE_SIZE > this.#header.logLength) {
      this.#position = 0;
    }
    const zeros = this.#mistake === 'logs zeros over payload' ? this.#freed : [];
    await this.#log(this.#header.logGuid, [
      { fileOffset: this.#bat.offset, bytes },
      ...zeros.map((fileOffset) => ({ fileOffset, zeroLength: MiB })),
    ]);
    if (this.#mistake !== 'applies before the entry is durable') await this.#file.flush();
    const note: ContentNote = { kind: 'flushed', ids: new Set(this.#writes) };
    if (this.#mistake !== 'applies before the entry is durable') this.#file.note(note);
    await this.#file.write(bytes, this.#bat.offset);
    await this.#file.flush();
    this.#file.note(note);
    this.#free.push(...this.#freed.splice(0));
    this.#writes = [];
  }

  /** Clears the log in both headers. */
  async close(): Promise<void> {
    if (this.#mistake === 'clears the log before everything is in place') {
      this.zeroBlock(0);
      await this.#file.flush();
      const bytes = this.#bat.bytes.slice();
      await this.#log(this.#header.logGuid, [{ fileOffset: this.#bat.offset, bytes }]);
      await this.#file.flush();
      this.#file.note({ kind: 'flushed', ids: new Set(this.#writes) });
      await this.#file.write(bytes, this.#bat.offset);
    }
    await this.#writeHeader({ logGuid: ZERO_GUID });
    await this.#file.flush();
    if (this.#mistake === 'clears one header only') return;
    await this.#writeHeader({});
    await this.#file.flush();
  }

  #note(block: number, tags: readonly number[]): number {
    const id = this.#next++;
    this.#writes.push(id);
    this.#file.note({ kind: 'begun', id, offset: block * MiB, length: MiB, tags } satisfies ContentNote);
    return id;
  }

  #newGuid(): string {
    this.#guids += 1;
    return `00000000-0000-4000-8000-${this.#guids.toString(16).padStart(12, '0')}`;
  }

  async #writeHeader(changes: Partial<StateHeader>): Promise<void> {
    const { slot, ...header } = this.#header;
    const other = slot === 1 ? 2 : 1;
    const next = { ...header, ...changes, sequenceNumber: header.sequenceNumber + 1n };
    this.#header = { ...next, slot: other };
    await this.#file.write(encodeHeader({ ...PLAIN_HEADER, ...next }), other * 64 * 1024);
  }

  async #log(logGuid: string, descriptors: readonly LogDescriptor[]): Promise<void> {
    const claimed =
      this.#mistake === 'says that more of the file was stable than is' ? this.#file.size + MiB : this.#stable;
    const position = this.#position;
    const bytes = encodeLogEntry({
      sequenceNumber: this.#sequence++,
      tail: this.#mistake === 'names a tail that is not there' && descriptors.length > 0 ? 64 * PAGE_SIZE : position,
      logGuid,
      flushedFileOffset: claimed,
      lastFileOffset: this.#file.size,
      descriptors,
    });
    await this.#file.write(bytes, this.#header.logOffset + position);
    this.#position += bytes.length;
  }
}
