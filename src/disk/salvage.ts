import { VhdxError } from '../errors.js';
import type { RandomAccessSource } from '../io/random-access.js';
import { RULES, type RuleCode } from '../rules.js';
import type { Piece } from './pieces.js';

/** What is tried to read of a piece that cannot be read as a whole, in bytes. */
const SALVAGE_UNIT = 4096;

/** A range of the disk that could not be read. In bytes. */
export interface DamagedRange {
  /** First byte of the range. */
  readonly offset: number;
  /** How many bytes are lost. */
  readonly length: number;
  /** Why. */
  readonly code: RuleCode | VhdxError['code'];
}

type Range = Pick<Piece, 'offset' | 'length'>;

/** Whether an error is about one place: the rest can be read all the same. */
export function isLocal(error: unknown): error is VhdxError {
  if (!(error instanceof VhdxError)) return false;
  return error.code in RULES || error.code === 'read-failed' || error.code === 'short-read';
}

/**
 * Reads pieces of a source. Of those that cannot be read as a whole it reads what can be read, and reports the rest in
 * the order of the disk, if there is something to report it to; otherwise the first of them rejects.
 */
export class Salvager {
  readonly #disk: RandomAccessSource;
  readonly #tell: ((range: DamagedRange) => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #found = new Map<Range, DamagedRange[]>();
  #held: DamagedRange | undefined;

  constructor(
    disk: RandomAccessSource,
    tell: ((range: DamagedRange) => void) | undefined,
    signal: AbortSignal | undefined,
  ) {
    this.#disk = disk;
    this.#tell = tell;
    this.#signal = signal;
  }

  /** Fills the start of `bytes` with a piece; what cannot be read becomes zeros. */
  async read(piece: Range, bytes: Uint8Array): Promise<void> {
    try {
      await this.#disk.readInto(bytes.subarray(0, piece.length), piece.offset, { signal: this.#signal });
    } catch (error) {
      if (!this.#tell || !isLocal(error)) throw error;
      await this.#readInParts(piece, bytes);
    }
  }

  async #readInParts(piece: Range, bytes: Uint8Array): Promise<void> {
    const found: DamagedRange[] = [];
    this.#found.set(piece, found);
    for (let at = 0; at < piece.length; at += SALVAGE_UNIT) {
      const part = bytes.subarray(at, Math.min(at + SALVAGE_UNIT, piece.length));
      try {
        await this.#disk.readInto(part, piece.offset + at, { signal: this.#signal });
      } catch (error) {
        if (!isLocal(error)) throw error;
        part.fill(0);
        found.push({ offset: piece.offset + at, length: part.length, code: error.code });
      }
    }
  }

  /** Reports what is lost of a piece, joined with what was lost right before it. */
  tell(piece: Range & Pick<Piece, 'damage'>): void {
    const { offset, length, damage } = piece;
    const ranges = damage === undefined ? (this.#found.get(piece) ?? []) : [{ offset, length, code: damage }];
    this.#found.delete(piece);
    for (const range of ranges) this.#add(range);
  }

  /** Reports what was held back. */
  end(): void {
    if (this.#held) this.#tell?.(this.#held);
    this.#held = undefined;
  }

  #add(range: DamagedRange): void {
    const held = this.#held;
    if (held?.code === range.code && held.offset + held.length === range.offset) {
      this.#held = { ...held, length: held.length + range.length };
      return;
    }
    this.end();
    this.#held = range;
  }
}
