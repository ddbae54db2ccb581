import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MiB } from '../../src/base/units.js';
import { Space } from '../../src/image/space.js';
import { propertyRuns } from '../support/property-runs.js';

/** A space of which these MiB are in use. */
function spaceOf(...used: readonly number[]): Space {
  const bits = new Uint8Array(8);
  for (const unit of used) bits[unit >>> 3] = (bits[unit >>> 3] as number) | (1 << (unit & 7));
  return new Space(bits, 64);
}

interface Units {
  readonly first: number;
  readonly count: number;
}

const endOf = (used: ReadonlySet<number>) => Math.max(-1, ...used) + 1;

/** The first of so many units in a row that are free; past the end if there are none below it. */
function lowestFit(used: ReadonlySet<number>, count: number): number {
  const end = endOf(used);
  for (let first = 0; first + count <= end; first++) {
    if (Array.from({ length: count }, (_, i) => first + i).every((unit) => !used.has(unit))) return first;
  }
  return end;
}

describe('space in a file', () => {
  test('ends after the last structure', () => {
    expect(spaceOf(0, 1, 2, 5).end).toBe(6 * MiB);
    expect(new Space(new Uint8Array(), 0).end).toBe(0);
  });

  test('is taken where it is lowest and long enough, otherwise past the end', () => {
    const space = spaceOf(0, 1, 3, 6, 7, 8);
    expect(space.allocate(2 * MiB)).toEqual({ offset: 4 * MiB, zeros: false });
    expect(space.allocate(2 * MiB)).toEqual({ offset: 9 * MiB, zeros: true });
    expect(space.allocate(1 * MiB)).toEqual({ offset: 2 * MiB, zeros: false });
    expect(space.end).toBe(11 * MiB);
  });

  test('that was given back is found again, and does not count as zeros', () => {
    const space = spaceOf(0, 1, 2);
    const { offset } = space.allocate(4 * MiB);
    expect(offset).toBe(3 * MiB);
    space.free(offset, 4 * MiB);
    expect(space.end).toBe(3 * MiB);
    expect(space.allocate(2 * MiB)).toEqual({ offset: 3 * MiB, zeros: false });
    // Half of this one was used before.
    expect(space.allocate(4 * MiB)).toEqual({ offset: 5 * MiB, zeros: false });
    expect(space.allocate(1 * MiB)).toEqual({ offset: 9 * MiB, zeros: true });
  });

  test('is never given back twice', () => {
    const space = spaceOf(0, 1, 2);
    space.free(2 * MiB, 1 * MiB);
    expect(() => space.free(2 * MiB, 1 * MiB)).toThrow('MiB 2 is free already');
  });

  test('is never handed out twice, and the lowest fit is always found', () => {
    const step = fc.oneof(
      fc.record({ take: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ give: fc.nat({ max: 1000 }) }),
    );
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: 31 })), fc.array(step, { maxLength: 60 }), (units, steps) => {
        const used = new Set(units);
        const space = spaceOf(...units);
        const taken: Units[] = [];
        for (const each of steps) {
          if ('take' in each) {
            const first = lowestFit(used, each.take);
            expect(space.allocate(each.take * MiB).offset).toBe(first * MiB);
            taken.push({ first, count: each.take });
            for (let i = 0; i < each.take; i++) used.add(first + i);
          } else if (taken.length > 0) {
            const [{ first, count }] = taken.splice(each.give % taken.length, 1) as [Units];
            space.free(first * MiB, count * MiB);
            for (let i = 0; i < count; i++) used.delete(first + i);
          }
          expect(space.end).toBe(endOf(used) * MiB);
        }
      }),
      propertyRuns(100),
    );
  });
});
