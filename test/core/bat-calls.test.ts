// The numbers that core and host share are generated; here stands what the specification says of them.
import { expect, test } from 'vitest';
import { Kind, PAGE_BYTES } from '../../src/core/bat-calls.js';
import * as numbers from '../../src/core/core-numbers.generated.js';
import { Problem } from '../../src/core/scan-calls.js';

test('kinds of extents up to 7 are the payload block states of [MS-VHDX] 2.5.1.1', () => {
  const { NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, FULLY_PRESENT, PARTIALLY_PRESENT } = numbers;
  expect([NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, FULLY_PRESENT, PARTIALLY_PRESENT]).toEqual([0, 1, 2, 3, 6, 7]);
  expect([Kind.NotPresent, Kind.Zero, Kind.Unmapped, Kind.Data, Kind.Partial]).toEqual([0, 2, 3, 6, 7]);
});

test('no two kinds or problems share a number, and no two places of a structure', () => {
  const groups = ['HEADER_', 'EXTENT_', 'PROBLEM_', 'COUNT_', 'USAGE_'].map((prefix) =>
    Object.entries(numbers).filter(([name]) => name.startsWith(prefix) && !/_(FIELDS|CLASSES)$/.test(name)),
  );
  for (const group of groups) expect(new Set(group.map(([, value]) => value)).size).toBe(group.length);
  // A shared place is a problem of an entry, and then what is wrong with an extent.
  const { SharedPlace, SharedBitmap, ...others } = Problem;
  expect([SharedPlace, SharedBitmap]).toEqual([Kind.SharedPlace, Kind.SharedBitmap]);
  const all = [...Object.values(Kind), ...Object.values(others)];
  expect(new Set(all).size).toBe(all.length);
});

test('the last number of bits is a whole one: the highest bit does not make it negative', () => {
  expect(numbers.BITMAP_PAGE).toBe(2 ** 31);
  expect(PAGE_BYTES).toBe(65_536);
});
