import { BUFFERS } from '../../src/core/core-memory.generated.js';
import type { Core } from '../../src/core/instance.js';

/** The builds of the core that every spec of it runs over. */
export const CORE_KINDS = ['simd', 'scalar', 'javascript'] as const;

/** Puts bytes into the core's buffers, the first of them `shift` bytes from their start, and returns their address. */
export function putIntoBuffers(core: Core, bytes: Uint8Array, shift = 0): number {
  const address = BUFFERS + shift;
  if (shift + bytes.length > core.buffers.size * core.buffers.bufferBytes) throw new RangeError('too long');
  core.bytes.set(bytes, address);
  return address;
}

/** Bytes that look random and are the same in every run. */
export function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
