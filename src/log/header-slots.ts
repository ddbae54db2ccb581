import { VhdxError } from '../errors.js';
import type { Crc } from '../format/checksum.js';
import { encodeHeader, HEADER_SIZE, type Header, type Headers } from '../format/header.js';
import type { SessionFile } from './session-file.js';

/** What a header update may change; every other field is carried over from the current header. */
export type HeaderChange = Partial<
  Pick<Header, 'fileWriteGuid' | 'dataWriteGuid' | 'logGuid' | 'logOffset' | 'logLength'>
>;

/** A header with a greater sequence number leaves no room for those that follow it. */
const LAST_SEQUENCE_NUMBER = 2n ** 64n - 16n;

interface Slot {
  readonly offset: number;
  bytes: Uint8Array;
}

/**
 * The two headers of a file that is being written ([MS-VHDX] 2.2.2.1).
 *
 * An update writes all of the slot that is not current, with the next sequence number, and makes it durable; only then
 * is it the current one. At most one slot is being written at any time, so one valid header always remains.
 */
export class HeaderSlots {
  readonly #file: SessionFile;
  readonly #crc: Crc;
  readonly #slots: readonly [Slot, Slot];
  #current: Header;
  /** Updates and checks come one after the other, so that two slots are never being written at the same time. */
  #queue: Promise<void> = Promise.resolve();

  /**
   * @param headers of the file as it was examined, one of them current
   * @throws VhdxError `read-only` if the sequence numbers are used up
   */
  constructor(file: SessionFile, headers: Headers, crc: Crc) {
    const { slots, current } = headers;
    if (!current) throw new RangeError('the file has no current header');
    if (current.sequenceNumber > LAST_SEQUENCE_NUMBER) {
      const structure = `header ${current.copy}`;
      const message = `${structure}: sequence number ${current.sequenceNumber} leaves none for further updates`;
      throw new VhdxError('read-only', message, { structure });
    }
    this.#file = file;
    this.#crc = crc;
    this.#slots = [
      { offset: slots[0].offset, bytes: slots[0].bytes },
      { offset: slots[1].offset, bytes: slots[1].bytes },
    ];
    this.#current = current;
  }

  /** The current header. */
  get current(): Header {
    return this.#current;
  }

  /**
   * Changes fields of both headers, one after the other and each durable before the next step: afterwards both say the
   * same, and damage to one of them brings nothing old back.
   */
  updateBoth(change: HeaderChange): Promise<void> {
    return this.#inTurn(async () => {
      await this.#update(change);
      await this.#update(change);
    });
  }

  /**
   * Makes sure that the headers in the file are those that this session examined or wrote.
   *
   * @throws VhdxError `source-changed` if another program wrote to the file; the session has failed then
   */
  verify(): Promise<void> {
    return this.#inTurn(() => this.#verify());
  }

  /** Writes the header that is not current, with some fields changed, and makes it durable and so the current one. */
  async #update(change: HeaderChange): Promise<void> {
    const copy = this.#current.copy === 1 ? 2 : 1;
    const next = { ...this.#current, ...change, copy, sequenceNumber: this.#current.sequenceNumber + 1n } as const;
    const bytes = encodeHeader(next, this.#crc);
    const slot = this.#slots[copy - 1] as Slot;
    slot.bytes = bytes;
    await this.#file.write(bytes, slot.offset);
    await this.#file.flush();
    this.#current = next;
  }

  async #verify(): Promise<void> {
    const found = new Uint8Array(HEADER_SIZE);
    for (const [i, { offset, bytes }] of this.#slots.entries()) {
      await this.#file.readInto(found, offset);
      if (bytes.every((byte, at) => byte === found[at])) continue;
      const structure = `header ${i + 1}`;
      const message = `${structure} was changed by another program while the file was open for writing`;
      const error = new VhdxError('source-changed', message, { structure, offset });
      this.#file.fail(error);
      throw error;
    }
  }

  #inTurn(step: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(step);
    this.#queue = done.catch(() => undefined);
    return done;
  }
}
