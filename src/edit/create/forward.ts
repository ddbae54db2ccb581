import { untilAborted } from '../../base/abort.js';
import type { LeasedBuffer } from '../../core/buffers.js';
import type { Core } from '../../core/instance.js';
import { type CopyOptions, lent, type SparseSink, writeSparsely } from '../../disk/copy.js';
import { AS_RAW } from '../../disk/detect-format.js';
import { coreBuffers, readAhead } from '../../disk/read-ahead.js';
import { VhdxError } from '../../errors.js';
import { hasVhdxSignature } from '../../format/file-identifier.js';
import { MAX_SIZE } from './plan-image.js';
import type { ForwardInput } from './write-options.js';

/** Bytes at the start that tell formats apart. */
const START = 520;

/** Whether an input is read once, from its first byte to its last. */
export function isForward(input: unknown): input is ForwardInput {
  if (typeof input !== 'object' || input === null || 'readInto' in input) return false;
  return Symbol.asyncIterator in input || ('getReader' in input && typeof input.getReader === 'function');
}

/** Reads what comes once, in as many bytes at a time as are wanted. */
export class ForwardReader {
  readonly #signal: AbortSignal | undefined;
  readonly #next: () => Promise<{ readonly done?: boolean | undefined; readonly value?: Uint8Array | undefined }>;
  readonly #end: () => unknown;
  /** What has come and is not delivered. */
  #rest = new Uint8Array(0);

  constructor(input: ForwardInput, signal: AbortSignal | undefined) {
    this.#signal = signal;
    if ('getReader' in input) {
      const reader = input.getReader();
      this.#next = () => reader.read();
      this.#end = () => reader.cancel();
    } else {
      const iterator = input[Symbol.asyncIterator]();
      this.#next = () => iterator.next();
      this.#end = () => iterator.return?.();
    }
  }

  /**
   * Refuses what begins as an image of a format that is known: taken as raw, its structures would become the disk.
   *
   * @throws VhdxError `unsupported-input`
   */
  async refuseImages(): Promise<void> {
    const start = new Uint8Array(START);
    const length = await this.fill(start);
    const seen = start.subarray(0, length);
    this.#rest = joined(seen, this.#rest);
    const { recogniseFormat } = await import('../../format/foreign-file.js');
    const found = hasVhdxSignature(seen)
      ? { format: 'vhdx', description: 'a VHDX image' }
      : recogniseFormat(seen, new Uint8Array(0));
    if (found === undefined || found.format === 'raw') return;
    const message = `this is ${found.description}, which cannot be read from a stream: hand over a file`;
    throw new VhdxError('unsupported-input', message, { advice: [AS_RAW] });
  }

  /** Fills the target as far as there is something; fewer bytes than it has room for are the last ones. */
  async fill(target: Uint8Array): Promise<number> {
    let done = 0;
    while (done < target.length) {
      if (this.#rest.length === 0) {
        // An abort does not wait for what may never come.
        const { done: ended, value } = await untilAborted(this.#next(), this.#signal);
        if (ended || value === undefined) break;
        if (!(value instanceof Uint8Array)) throw new TypeError('what comes from a stream must be a Uint8Array');
        this.#rest = value as Uint8Array<ArrayBuffer>;
      }
      const part = this.#rest.subarray(0, target.length - done);
      target.set(part, done);
      this.#rest = this.#rest.subarray(part.length);
      done += part.length;
    }
    return done;
  }

  /** Ends the input, if it has not ended. */
  async close(): Promise<void> {
    // What hangs is left alone: nothing depends on it any more.
    void Promise.resolve(this.#end()).catch(() => {});
  }
}

/**
 * Writes what a stream holds and is not zero, at growing offsets, while more of it is read.
 *
 * @returns how many bytes came
 */
export async function copyForward(
  core: Core,
  reader: ForwardReader,
  sink: SparseSink,
  { signal, onProgress }: CopyOptions,
): Promise<number> {
  const size = core.buffers.bufferBytes;
  let total = 0;
  let hasEnded = false;
  async function* pieces() {
    for (let offset = 0; !hasEnded; offset += size) yield { offset };
  }
  let before: Promise<unknown> = Promise.resolve();
  const copy = async ({ offset }: { readonly offset: number }, [buffer]: readonly LeasedBuffer[]): Promise<void> => {
    const last = before;
    const beginning = (async () => {
      await last;
      const length = await reader.fill(lent(buffer).bytes);
      if (length < size) hasEnded = true;
      total += length;
      if (total > MAX_SIZE) throw new VhdxError('virtual-disk-size', 'more than 64 TiB came: a VHDX holds no more');
      return { writing: writeSparsely(core, sink, { offset, length }, lent(buffer)) };
    })();
    before = beginning;
    await (await beginning).writing;
  };
  const supply = coreBuffers(core.buffers);
  for await (const { piece } of readAhead(pieces(), { supply, isHole: () => false, read: copy, signal })) {
    const done = Math.min(total, piece.offset + size);
    onProgress?.({ done, total: done });
  }
  return total;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}
