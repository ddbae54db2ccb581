import { expect } from 'vitest';

const SPAN = 64 * 1024;
/** Where spans of both are laid to be compared word by word, wherever they begin. */
const [spanOfOne, spanOfOther] = [new Uint8Array(SPAN), new Uint8Array(SPAN)];
const [wordsOfOne, wordsOfOther] = [new Uint32Array(spanOfOne.buffer), new Uint32Array(spanOfOther.buffer)];

/** Where two byte arrays first differ, as far as both go; -1 where they do not. Specs compare hundreds of MiB. */
export function firstDifference(one: Uint8Array, other: Uint8Array): number {
  const length = Math.min(one.length, other.length);
  for (let start = 0; start < length; start += SPAN) {
    const end = Math.min(length, start + SPAN);
    spanOfOne.set(one.subarray(start, end));
    spanOfOther.set(other.subarray(start, end));
    const count = (end - start) >>> 2;
    let word = 0;
    while (word < count && wordsOfOne[word] === wordsOfOther[word]) word++;
    for (let at = start + 4 * word; at < end; at++) if (one[at] !== other[at]) return at;
  }
  return -1;
}

/** Asserts that two byte arrays are alike. Says where they first differ, because a listing of megabytes does not help. */
export function expectSameBytes(actual: Uint8Array, expected: Uint8Array, where = ''): void {
  expect(actual.length, where).toBe(expected.length);
  const at = firstDifference(actual, expected);
  if (at !== -1) expect({ at, byte: actual[at] }, where).toEqual({ at, byte: expected[at] });
}
