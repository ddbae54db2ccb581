import { expect } from 'vitest';

/** Asserts that two byte arrays are alike. Says where they first differ, because a listing of megabytes does not help. */
export function expectSameBytes(actual: Uint8Array, expected: Uint8Array, where = ''): void {
  expect(actual.length, where).toBe(expected.length);
  for (let at = 0; at < expected.length; at++) {
    if (actual[at] !== expected[at]) expect({ at, byte: actual[at] }, where).toEqual({ at, byte: expected[at] });
  }
}
