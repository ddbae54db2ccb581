import { pattern, sectorBits } from './block-content.js';
import { type ChainFiles, chainOf } from './chain-files.js';
import { KiB, MiB } from './encode-primitives.js';
import { type BlockSpec, type ImageSpec, STATE } from './image-spec.js';

/** What of a chain of five to leave out, for readers that cannot do it. */
export interface FiveLimits {
  /** All members have the size of the disk. */
  readonly sameSize?: boolean;
  /** No block of a child is zero, undefined or unmapped. */
  readonly noZeros?: boolean;
}

/**
 * A chain of five members: block sizes of 1, 2, 4, 1 and 2 MiB, the second from below smaller than the disk and the
 * base larger, partial blocks on partial blocks, and every state that hides what is below.
 */
export function fiveMembers(
  logicalSectorSize: 512 | 4096,
  { sameSize = false, noZeros = false }: FiveLimits = {},
): ChainFiles {
  const size = 15 * MiB + 64 * KiB;
  const present = (seed: number): BlockSpec => ({ state: STATE.fullyPresent, data: pattern(seed) });
  const partial = (seed: number, blockSize: number, ...ranges: readonly (readonly [number, number])[]): BlockSpec => ({
    ...present(seed),
    state: STATE.partiallyPresent,
    bitmap: sectorBits(blockSize / logicalSectorSize, ...ranges),
  });
  const hiding = (state: number, seed: number): BlockSpec => (noZeros ? present(seed) : { ...present(seed), state });
  const member = (virtualSize: number, spec: ImageSpec): ImageSpec => ({
    logicalSectorSize,
    virtualSize: sameSize ? size : virtualSize,
    ...spec,
  });
  const all = (count: number, seed: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => [i, present(seed + i)]));
  return chainOf(
    member(size + 8 * MiB, { blockSize: MiB, blocks: all(16, 100), placement: 'shuffled' }),
    member(size - 6 * MiB, {
      blockSize: 2 * MiB,
      habits: 'qemu',
      blocks: {
        0: partial(200, 2 * MiB, [0, 1], [100, 300], [500, 512]),
        2: present(202),
        3: partial(203, 2 * MiB, [7, 9]),
      },
    }),
    member(size, {
      blockSize: 4 * MiB,
      placement: 'reverse',
      blocks: {
        0: partial(300, 4 * MiB, [90, 110], [600, 1000]),
        1: hiding(STATE.unmapped, 301),
        2: partial(302, 4 * MiB, [0, 3]),
      },
    }),
    member(size, {
      blockSize: MiB,
      placement: 'gaps',
      blocks: {
        1: partial(400, MiB, [0, 17], [31, 33], [255, 256]),
        2: hiding(STATE.zero, 401),
        5: present(402),
        13: partial(403, MiB, [128, 129]),
      },
    }),
    member(size, {
      blockSize: 2 * MiB,
      blocks: {
        1: hiding(STATE.undefined, 500),
        2: partial(501, 2 * MiB, [3, 256]),
        7: partial(502, 2 * MiB, [0, 15]),
      },
    }),
  );
}
