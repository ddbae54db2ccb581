import { type FileRange, findOverlap } from '../base/byte-range.js';
import { hex } from '../base/bytes.js';
import { MiB } from '../base/units.js';
import { bitmapEntryIndex } from '../format/bat.js';
import { type Finding, finding, type RuleCode } from '../rules.js';
import { explainDamage, ownerOf } from './bat-damage.js';
import { type BatProblem, SHARED_PLACE } from './bat-problem.js';
import { DAMAGE } from './raw-extent.js';
import type { TranslatorImage } from './translator.js';

/** A bad state of a sector bitmap block that nothing needs: less than its rule says. */
const UNUSED_BITMAP_STATE = 20;

/** Which rule a problem breaks, by its kind. */
const CODES: Readonly<Record<number, RuleCode>> = {
  ...DAMAGE,
  16: 'bat-reserved-bits',
  17: 'bat-draft-unmapped',
  [SHARED_PLACE]: 'bat-block-overlap',
  19: 'bitmap-unexpected',
  [UNUSED_BITMAP_STATE]: 'bitmap-state',
};

const codeOf = (kind: number): RuleCode => CODES[kind] ?? 'bat-reserved-state';

/** Turns problems into findings. `structures` are the header section, the log and the regions, by their offsets. */
export function describeProblems(
  problems: readonly BatProblem[],
  image: TranslatorImage,
  structures: readonly FileRange[],
): Finding[] {
  const { geometry, batOffset, source } = image;
  return problems.map(({ index, kind, state, fileOffset }) => {
    const chunk = Math.floor(index / (geometry.chunkRatio + 1));
    const isBitmap = index === bitmapEntryIndex(geometry, chunk);
    const length = isBitmap ? MiB : geometry.blockSize;
    const structure = kind === SHARED_PLACE ? findOverlap(structures, fileOffset, length) : undefined;
    let code = codeOf(kind);
    if (structure) code = isBitmap ? 'bitmap-state' : 'bat-overlap-structure';
    const what = structure ? `overlaps the ${structure.structure}` : explain(codeOf(kind), source.size);
    return finding(
      code,
      `${ownerOf(geometry, index)} (state ${state}) at ${hex(fileOffset)} ${what}`,
      { structure: `BAT entry ${index}`, offset: batOffset + 8 * index },
      kind === UNUSED_BITMAP_STATE ? 'warning' : undefined,
    );
  });
}

/** How many problems were seen and not kept, by the rule that they break. `seen` counts all of them by kind. */
export function countUnlisted(seen: ReadonlyMap<number, number>, listed: number): Map<RuleCode, number> {
  const unlisted = new Map<RuleCode, number>();
  for (const [kind, count] of seen) {
    const code = codeOf(kind);
    if (count > listed) unlisted.set(code, (unlisted.get(code) ?? 0) + count - listed);
  }
  return unlisted;
}

function explain(code: RuleCode, fileSize: number): string {
  switch (code) {
    case 'bat-block-overlap':
      return 'overlaps a block that stands before it in the BAT';
    case 'bat-draft-unmapped':
      return 'has the state that meant unmapped in the 0.95 draft';
    case 'bat-reserved-bits':
      return 'has reserved bits set';
    case 'bitmap-unexpected':
      return 'is there, and the disk has no parent';
    default:
      return explainDamage(code, fileSize);
  }
}
