import { VhdxError } from '../../errors.js';
import type { WrittenFile } from './new-file.js';

/** Bytes at an offset that wait until they are taken. */
interface Waiting {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly taken: () => void;
}

/**
 * Turns writes at growing offsets into a sequence of chunks, with zeros for what is left out. A write is settled when
 * its bytes were taken, so that the work goes no faster than its reader; it is aborted when the reader leaves.
 *
 * @param start offset of the first byte
 * @param end offset after the last byte
 * @param most bytes of a chunk
 * @param work writes to a file; when the sequence is over it has ended
 * @throws VhdxError `source-changed` for a write that leaves the range or goes back, and whatever the work rejects with
 */
export async function* sequenceOf(
  start: number,
  end: number,
  most: number,
  work: (file: WrittenFile) => Promise<void>,
): AsyncGenerator<Uint8Array, undefined> {
  const queue: Waiting[] = [];
  let wake = (): void => {};
  let outcome: { readonly error?: unknown } | undefined;
  let hasLeft = false;
  const file: WrittenFile = {
    write(bytes, offset) {
      if (hasLeft) return Promise.reject(new Error('the reader of the stream has left'));
      return new Promise((taken) => {
        queue.push({ bytes, offset, taken });
        wake();
      });
    },
    truncate: async () => {},
    flush: async () => {},
  };
  const working = work(file).then(
    () => {
      outcome = {};
      wake();
    },
    (error: unknown) => {
      outcome = { error };
      wake();
    },
  );
  let position = start;
  function* zerosUpTo(offset: number): Generator<Uint8Array> {
    for (; position < offset; position += Math.min(most, offset - position)) {
      yield new Uint8Array(Math.min(most, offset - position));
    }
  }
  try {
    for (;;) {
      const [next] = queue;
      if (next === undefined) {
        if (outcome) break;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        continue;
      }
      const { bytes, offset, taken } = next;
      if (offset < position || offset + bytes.length > end) throw sourceChanged();
      yield* zerosUpTo(offset);
      const copy = bytes.slice(); // the buffer is used again
      position += copy.length;
      queue.shift();
      taken();
      for (let at = 0; at < copy.length; at += most) yield copy.subarray(at, at + most);
    }
    if ('error' in outcome) throw outcome.error;
    yield* zerosUpTo(end);
    return undefined;
  } finally {
    hasLeft = true;
    for (const { taken } of queue.splice(0)) taken();
    await working;
  }
}

/** What is read the second time is not what it was the first time. */
export function sourceChanged(): VhdxError {
  return new VhdxError('source-changed', 'the source was changed while it was read');
}
