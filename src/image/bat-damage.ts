import { hex } from '../base/bytes.js';
import { bitmapEntryIndex, type Geometry } from '../format/bat.js';
import type { RuleCode } from '../rules.js';

/** What is wrong with a block because of its BAT entry, by the broken rule: the end of a sentence that begins with the block. */
export function explainDamage(code: RuleCode, fileSize: number): string {
  switch (code) {
    case 'bat-past-end':
      return `reaches past the end of the file, ${hex(fileSize)}`;
    case 'bat-offset-missing':
      return 'lies inside the header section';
    case 'bat-offset-range':
      return 'lies where no file reaches';
    case 'bat-reserved-state':
      return 'has a reserved state';
    case 'bat-partial-without-parent':
      return 'is partially present, and the disk has no parent';
    case 'bat-overlap-structure':
      return 'overlaps the header section, the log or a region';
    case 'bitmap-missing':
      return 'is not present, and a block of its chunk is partially present';
    default:
      return 'is not where one can be, or its state is not 0 or 6';
  }
}

/** What a BAT entry belongs to. */
export function ownerOf(geometry: Geometry, index: number): string {
  const chunk = Math.floor(index / (geometry.chunkRatio + 1));
  return index === bitmapEntryIndex(geometry, chunk)
    ? `sector bitmap block of chunk ${chunk}`
    : `payload block ${index - chunk}`;
}
