import type { HintedReadOptions, HintedSource } from '../../src/io/sequential-reads.js';
import { contentBytes, pattern } from './block-content.js';
import { firstDifference } from './same-bytes.js';

const content = pattern(7);

/** The bytes that a {@link ScriptedSource} holds in a range. */
export const sourceBytes = (offset: number, length: number): Uint8Array => contentBytes(content, offset, length);

/** Where bytes differ from what a {@link ScriptedSource} holds from `offset` on; -1 where they do not. */
export function wrongAt(bytes: Uint8Array, offset: number): number {
  return firstDifference(bytes, sourceBytes(offset, bytes.byteLength));
}

/** One read that reached the source. */
export interface SourceCall {
  readonly offset: number;
  readonly length: number;
  readonly target: Uint8Array;
  readonly ahead: number;
  readonly signal: AbortSignal | undefined;
  /** Delivers the bytes. */
  answer(): void;
  /** Fails the read. */
  fail(error: unknown): void;
}

/** A source that writes down what it is asked, and answers at once or when the spec says so. */
export class ScriptedSource implements HintedSource {
  readonly name = 'scripted';
  readonly size: number;
  readonly calls: SourceCall[] = [];
  /** Whether reads wait for {@link SourceCall.answer}. */
  manual: boolean;
  closed = 0;
  /** Bytes of the reads that are running, and the most there were at a time. */
  inFlight = 0;
  mostInFlight = 0;
  mostCalls = 0;
  #running = 0;

  constructor(size: number, { manual = false } = {}) {
    this.size = size;
    this.manual = manual;
  }

  readInto(target: Uint8Array, offset: number, options?: HintedReadOptions): Promise<void> {
    const length = target.byteLength;
    if (offset < 0 || offset + length > this.size) throw new Error(`asked for ${length} bytes at ${offset}`);
    this.inFlight += length;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    this.#running++;
    this.mostCalls = Math.max(this.mostCalls, this.#running);
    return new Promise<void>((resolve, reject) => {
      const over = () => {
        this.inFlight -= length;
        this.#running--;
      };
      const call: SourceCall = {
        offset,
        length,
        target,
        ahead: options?.ahead ?? 0,
        signal: options?.signal,
        answer() {
          target.set(sourceBytes(offset, length));
          over();
          resolve();
        },
        fail(error) {
          over();
          reject(error);
        },
      };
      this.calls.push(call);
      if (!this.manual) queueMicrotask(() => call.answer());
    });
  }

  async close(): Promise<void> {
    this.closed++;
  }

  /** The one call at a place; throws where there is none. */
  call(index: number): SourceCall {
    const call = this.calls[index];
    if (call === undefined) throw new Error(`there are only ${this.calls.length} calls`);
    return call;
  }

  /** Offset and length of each call. */
  get ranges(): (readonly [offset: number, length: number])[] {
    return this.calls.map(({ offset, length }) => [offset, length]);
  }
}

/** Lets everything that is ready to run do so. */
export const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));

/** Whether a promise has settled, after everything that is ready to run has run. */
export async function hasSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = () => {
    settled = true;
  };
  promise.then(note, note);
  await turn();
  return settled;
}

/** What a promise rejects with; throws where it does not. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not reject');
}
