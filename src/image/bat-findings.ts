import { type FileRange, findOverlap } from '../base/byte-range.js';
import { hex } from '../base/bytes.js';
import { MiB } from '../base/units.js';
import { type BatProblem, Kind, Problem, type RawExtent } from '../core/bat-calls.js';
import { VhdxError } from '../errors.js';
import { BAT_ENTRY_SIZE, bitmapEntryIndex, type Geometry } from '../format/bat.js';
import { type Facts, type Finding, finding, type Place, type RuleCode } from '../rules.js';
import { DAMAGE, type TranslatorImage } from './translator.js';

/** Which rule a problem breaks, by its kind. */
const CODES: Readonly<Record<number, RuleCode>> = {
  ...DAMAGE,
  [Problem.ReservedBits]: 'bat-reserved-bits',
  [Problem.DraftState]: 'bat-draft-unmapped',
  [Problem.SharedPlace]: 'bat-block-overlap',
  [Problem.BitmapUnexpected]: 'bitmap-unexpected',
  [Problem.UnusedBitmapState]: 'bitmap-state',
};

const codeOf = (kind: number): RuleCode => CODES[kind] ?? 'bat-reserved-state';

/** Turns problems into findings. `structures` are the header section, the log and the regions, by their offsets. */
export function batFindings(
  problems: readonly BatProblem[],
  image: TranslatorImage,
  structures: readonly FileRange[],
): Finding[] {
  const { geometry, source } = image;
  return problems.map(({ index, kind, state, fileOffset }) => {
    const { owner, isBitmap, place } = entryAt(image, index);
    const length = isBitmap ? MiB : geometry.blockSize;
    const structure = kind === Problem.SharedPlace ? findOverlap(structures, fileOffset, length) : undefined;
    let code = codeOf(kind);
    if (structure) code = isBitmap ? 'bitmap-state' : 'bat-overlap-structure';
    const what = structure ? `overlaps the ${structure.structure}` : explain(codeOf(kind), source.size);
    return finding(
      code,
      `${owner} (state ${state}) at ${hex(fileOffset)} ${what}`,
      place,
      kind === Problem.UnusedBitmapState ? 'warning' : undefined,
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

/** The error of a read that touches an extent that cannot be read. */
export function damageError(image: TranslatorImage, extent: RawExtent): VhdxError {
  const { offset, kind, fileOffset } = extent;
  const { geometry, source } = image;
  const code = codeOf(kind);
  const block = Math.floor(offset / geometry.blockSize);
  const chunk = Math.floor(block / geometry.chunkRatio);
  const isBitmap = kind === Kind.BitmapMissing || kind === Kind.BitmapState;
  const { owner, place } = entryAt(image, isBitmap ? bitmapEntryIndex(geometry, chunk) : block + chunk);
  // Of the block, not of the part of it that was asked for.
  const where = fileOffset > 0 ? ` at ${hex(fileOffset - (offset % geometry.blockSize))}` : '';
  const entry = `(entry at ${hex(place.offset)})`;
  const what = `${owner}${where} ${explain(code, source.size)}`;
  const message = `${place.structure}: ${what}; the disk cannot be read at ${hex(offset)} ${entry}`;
  return new VhdxError(code, message, place);
}

interface BatEntry {
  /** What the entry belongs to. */
  readonly owner: string;
  readonly isBitmap: boolean;
  readonly place: Place & { readonly offset: number };
}

function entryAt({ geometry, batOffset }: TranslatorImage, index: number): BatEntry {
  const chunk = Math.floor(index / (geometry.chunkRatio + 1));
  const isBitmap = index === bitmapEntryIndex(geometry, chunk);
  const block = index - chunk;
  const facts: Facts = {
    batEntry: index,
    ...(isBitmap ? { chunk } : { block }),
    range: isBitmap
      ? rangeOfBlocks(geometry, chunk * geometry.chunkRatio, geometry.chunkRatio)
      : rangeOfBlocks(geometry, block, 1),
  };
  return {
    owner: isBitmap ? `sector bitmap block of chunk ${chunk}` : `payload block ${block}`,
    isBitmap,
    place: { structure: `BAT entry ${index}`, offset: batOffset + BAT_ENTRY_SIZE * index, facts },
  };
}

function rangeOfBlocks(
  { blockSize, virtualSize }: Geometry,
  first: number,
  count: number,
): NonNullable<Facts['range']> {
  const offset = first * blockSize;
  return { offset, length: Math.min(count * blockSize, virtualSize - offset) };
}

/** What is wrong, by the broken rule: the end of a sentence that begins with the block. */
function explain(code: RuleCode, fileSize: number): string {
  switch (code) {
    case 'bat-past-end':
      return `reaches past the end of the file, ${hex(fileSize)}`;
    case 'bat-offset-missing':
      return 'is inside the header section';
    case 'bat-offset-range':
      return 'is past the largest offset that a file can have';
    case 'bat-reserved-state':
      return 'has a reserved state';
    case 'bat-partial-without-parent':
      return 'is partially present, and the disk has no parent';
    case 'bat-overlap-structure':
      return 'overlaps the header section, the log or a region';
    case 'bat-block-overlap':
      return 'overlaps a block that comes before it in the BAT';
    case 'bat-draft-unmapped':
      return 'has the state that meant unmapped in the 0.95 draft';
    case 'bat-reserved-bits':
      return 'has reserved bits set';
    case 'bitmap-missing':
      return 'is not present, and a block of its chunk is partially present';
    case 'bitmap-unexpected':
      return 'has a BAT entry that is not zero, and the disk has no parent';
    default:
      return 'has a state other than 0 and 6, or is at an impossible place';
  }
}
