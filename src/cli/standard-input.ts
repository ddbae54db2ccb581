import { createReadStream, fstatSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { Failure, isSystemError, systemReason } from './failure.js';

const DESCRIPTOR = 0;

/** How many bytes standard input still has, if that is known: if it is a file. */
export function inputLength(): number | undefined {
  const stats = fstatSync(DESCRIPTOR);
  return stats.isFile() ? Math.max(0, stats.size - (inputPosition() ?? 0)) : undefined;
}

/** Where standard input, a file, is read next. Only Linux says so. */
function inputPosition(): number | undefined {
  try {
    const position = /^pos:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${DESCRIPTOR}`, 'utf8'))?.[1];
    return position === undefined ? undefined : Number(position);
  } catch {
    return undefined;
  }
}

/** The stream of standard input; of a file from where it is read next, because Bun begins at its start. */
function inputStream(): Readable {
  const start = fstatSync(DESCRIPTOR).isFile() ? inputPosition() : undefined;
  return start === undefined ? process.stdin : createReadStream('', { fd: DESCRIPTOR, autoClose: false, start });
}

/** Reads standard input to its end, in pieces as they come; rejects with the signal's reason as soon as that is aborted. */
export async function* standardInput(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const stdin = inputStream();
  const pieces = stdin[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
  let reject: (reason: unknown) => void = () => {};
  const stop = (): void => {
    reject(signal.reason);
    stdin.destroy(); // a read of a pipe would wait for its writer; in Deno it does all the same
  };
  signal.addEventListener('abort', stop, { once: true });
  const next = () =>
    new Promise<IteratorResult<Uint8Array>>((resolve, rejectRead) => {
      reject = rejectRead;
      pieces.next().then(resolve, rejectRead);
    });
  try {
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await next();
      if (done) break;
      yield value;
    }
    signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted();
    if (isSystemError(error)) throw new Failure(`standard input: ${systemReason(error)}`, { cause: error });
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    stdin.destroy(); // what follows is not wanted, and must not keep the process alive
  }
}

/**
 * Gathers bytes into pieces that end at multiples of a unit, but for the last one.
 *
 * @param offset where the first byte goes
 */
export async function* inPieces(
  input: AsyncIterable<Uint8Array>,
  offset: number,
  unit: number,
): AsyncGenerator<Uint8Array> {
  let piece = new Uint8Array(unit - (offset % unit));
  let filled = 0;
  for await (const bytes of input) {
    for (let done = 0; done < bytes.length; ) {
      const part = bytes.subarray(done, done + piece.length - filled);
      piece.set(part, filled);
      filled += part.length;
      done += part.length;
      if (filled < piece.length) continue;
      yield piece;
      piece = new Uint8Array(unit); // the one before is still being written
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}
