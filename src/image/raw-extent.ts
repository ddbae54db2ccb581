import { PayloadState } from '../format/bat.js';
import type { RuleCode } from '../rules.js';

/**
 * What an extent of one image is: a payload state of [MS-VHDX] 2.5.1.1 or, from 8 on, what is wrong with it.
 * 8 to 12 come from the core (`assembly/extents.ts`), the rest from the host.
 */
export const Kind = {
  /** In the parent, or zeros where there is none. */
  NotPresent: PayloadState.NotPresent,
  Zero: PayloadState.Zero,
  Data: PayloadState.FullyPresent,
  ReservedState: 8,
  PartialWithoutParent: 9,
  OffsetMissing: 10,
  OffsetRange: 11,
  PastEnd: 12,
  OverlapsStructure: 13,
  BitmapState: 14,
  BitmapMissing: 15,
} as const;

/** What is wrong with an extent of a kind from 8 on, by kind. */
export const DAMAGE: Readonly<Record<number, RuleCode>> = {
  [Kind.ReservedState]: 'bat-reserved-state',
  [Kind.PartialWithoutParent]: 'bat-partial-without-parent',
  [Kind.OffsetMissing]: 'bat-offset-missing',
  [Kind.OffsetRange]: 'bat-offset-range',
  [Kind.PastEnd]: 'bat-past-end',
  [Kind.OverlapsStructure]: 'bat-overlap-structure',
  [Kind.BitmapState]: 'bitmap-state',
  [Kind.BitmapMissing]: 'bitmap-missing',
};

/** A range of the virtual disk as one image's BAT and bitmaps tell it. Numbers in bytes. */
export interface RawExtent {
  readonly offset: number;
  readonly length: number;
  readonly kind: number;
  /** Where its first byte lies in the file, where it has data there. */
  readonly fileOffset: number;
}

/** Appends an extent, or lengthens the last one where this one continues it. */
export function pushRawExtent(out: RawExtent[], extent: RawExtent): void {
  const last = out.at(-1);
  const contiguous =
    last?.kind === extent.kind &&
    last.offset + last.length === extent.offset &&
    (extent.kind !== Kind.Data || last.fileOffset + last.length === extent.fileOffset);
  if (last && contiguous) out[out.length - 1] = { ...last, length: last.length + extent.length };
  else out.push(extent);
}
