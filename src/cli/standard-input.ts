import { fstatSync, readFileSync } from 'node:fs';
import { Failure, isSystemError, systemReason } from './failure.js';

const DESCRIPTOR = 0;

/** How many bytes standard input still has, if that is known: if it is a file. */
export function inputLength(): number | undefined {
  const stats = fstatSync(DESCRIPTOR);
  return stats.isFile() ? Math.max(0, stats.size - inputPosition()) : undefined;
}

/** Where standard input, a file, is read next. Only Linux says so; elsewhere it is taken for the start. */
function inputPosition(): number {
  try {
    return Number(/^pos:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${DESCRIPTOR}`, 'utf8'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Reads standard input to its end, in pieces as they come; rejects with the signal's reason as soon as that is aborted. */
export async function* standardInput(signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const { stdin } = process;
  const stop = (): void => {
    stdin.destroy(); // a read of a pipe would wait for its writer
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    for await (const bytes of stdin) yield bytes as Uint8Array;
    signal.throwIfAborted();
  } catch (error) {
    signal.throwIfAborted();
    if (isSystemError(error)) throw new Failure(`standard input: ${systemReason(error)}`, { cause: error });
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
    stop(); // what follows is not wanted, and must not keep the process alive
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
