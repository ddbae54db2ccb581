import { type FileRange, findOverlap } from '../base/byte-range.js';
import { hex } from '../base/bytes.js';
import { MiB } from '../base/units.js';
import { Kind, type RawExtent } from '../core/bat-calls.js';
import { type BatProblem, Problem } from '../core/scan-calls.js';
import { VhdxError } from '../errors.js';
import { BAT_ENTRY_SIZE, bitmapEntryIndex, type Geometry } from '../format/bat.js';
import { type Facts, type Finding, finding, type Place, type RuleCode } from '../rules.js';
import { DAMAGE, type TranslatorImage } from './translator.js';

/** Which rule a problem breaks, by its kind. */
const CODES: Readonly<Record<number, RuleCode>> = {
  ...DAMAGE,
  [Problem.ReservedBits]: 'bat-reserved-bits',
  [Problem.DraftState]: 'bat-draft-unmapped',
  [Problem.BitmapUnexpected]: 'bitmap-unexpected',
  [Problem.UnusedBitmapState]: 'bitmap-state',
  [Problem.UnusedBitmapShared]: 'bat-unused-place',
  [Problem.AnchorShared]: 'bat-unused-place',
  [Problem.AnchorPastEnd]: 'bat-unused-place',
};

const codeOf = (kind: number): RuleCode => CODES[kind] ?? 'bat-reserved-state';

/** Problems of a place that is taken twice: by two blocks, or by a block and a structure. */
const IN_SHARED_PLACES: readonly number[] = [
  Problem.SharedPlace,
  Problem.SharedBitmap,
  Problem.UnusedBitmapShared,
  Problem.AnchorShared,
];

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
    const structure = IN_SHARED_PLACES.includes(kind) ? findOverlap(structures, fileOffset, length) : undefined;
    let code = codeOf(kind);
    if (structure && code === 'bat-block-overlap') code = isBitmap ? 'bitmap-state' : 'bat-overlap-structure';
    const what = structure ? `overlaps the ${structure.structure}` : explain(kind, source.size);
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

/** Kinds of extents whose sector bitmap is what is wrong. */
const BITMAP_KINDS: readonly number[] = [Kind.BitmapMissing, Kind.BitmapState, Kind.SharedBitmap];

/** The error of a read that touches an extent that cannot be read. */
export function damageError(image: TranslatorImage, extent: RawExtent): VhdxError {
  const { offset, kind, fileOffset } = extent;
  const { geometry, source } = image;
  const code = codeOf(kind);
  const block = Math.floor(offset / geometry.blockSize);
  const chunk = Math.floor(block / geometry.chunkRatio);
  const isBitmap = BITMAP_KINDS.includes(kind);
  const { owner, place } = entryAt(image, isBitmap ? bitmapEntryIndex(geometry, chunk) : block + chunk);
  // Of the block, not of the part of it that was asked for.
  const where = fileOffset > 0 ? ` at ${hex(fileOffset - (offset % geometry.blockSize))}` : '';
  const entry = `(entry at ${hex(place.offset)})`;
  const what = `${owner}${where} ${explain(kind, source.size)}`;
  const message = `${place.structure}: ${what}; the disk cannot be read at ${hex(offset)} ${entry}`;
  return new VhdxError(code, message, { ...place, finding: finding(code, what, place) });
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

/** What is wrong: the end of a sentence that begins with the block. */
function explain(kind: number, fileSize: number): string {
  switch (kind) {
    case Kind.PastEnd:
      return `reaches past the end of the file, ${hex(fileSize)}`;
    case Kind.OffsetMissing:
      return 'is inside the header section';
    case Kind.OffsetRange:
      return 'is past the largest offset that a file can have';
    case Kind.PartialWithoutParent:
      return 'is partially present, and the disk has no parent';
    case Kind.OverlapsStructure:
      return 'overlaps the header section, the log or a region';
    case Kind.SharedPlace:
    case Kind.SharedBitmap:
      return 'shares its place with another block';
    case Kind.BitmapMissing:
      return 'is not present, and a block of its chunk is partially present';
    case Kind.BitmapState:
    case Problem.UnusedBitmapState:
      return 'has a state other than 0 and 6, or is at an impossible place';
    case Problem.DraftState:
      return 'has the state that meant unmapped in the 0.95 draft';
    case Problem.ReservedBits:
      return 'has reserved bits set';
    case Problem.BitmapUnexpected:
      return 'has a BAT entry that is not zero, and the disk has no parent';
    case Problem.UnusedBitmapShared:
      return 'shares its place with another block, and no block needs it';
    case Problem.AnchorShared:
      return 'keeps a place that another block has; it reads as zeros';
    case Problem.AnchorPastEnd:
      return `keeps a place past the end of the file, ${hex(fileSize)}; it reads as zeros`;
    default:
      return 'has a reserved state';
  }
}
