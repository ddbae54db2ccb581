/** The kind of problem that depends on what else is marked in the map. */
export const SHARED_PLACE = 18;

/** Something wrong with a BAT entry, as the core tells it. */
export interface BatProblem {
  /** Number of the entry. */
  readonly index: number;
  /** Up to 15 as the kinds of extents; from 16 on what only a scan looks at (`assembly/scan.ts`). */
  readonly kind: number;
  /** State in the entry. */
  readonly state: number;
  readonly fileOffset: number;
}
