/**
 * How much a finding matters.
 *
 * - `fatal`: nobody can know what the bytes mean; the image does not open.
 * - `block`: one place is bad; only reads that touch it fail.
 * - `warning`: odd or against the specification, and harmless to what is read.
 * - `info`: nothing wrong; told because somebody may wonder.
 */
export type Severity = 'fatal' | 'block' | 'warning' | 'info';

interface Rule {
  readonly severity: Severity;
  /** Section of [MS-VHDX] v8.0 that the rule comes from. */
  readonly spec: string;
  /** One sentence: what a break of this rule means for the data. */
  readonly meaning: string;
}

// Bundlers may leave the rules out where nobody needs them.
/* @__NO_SIDE_EFFECTS__ */
const rule = (severity: Severity, spec: string, meaning: string): Rule => ({ severity, spec, meaning });

/** Every rule that is checked, by the code its findings and errors carry. */
export const RULES = {
  // File and headers
  'file-signature': rule('fatal', '2.2.1', 'This is not a VHDX file, or its first bytes were overwritten.'),
  'file-too-small': rule('fatal', '2.2', 'The file ends inside its own header section: it was cut off.'),
  'header-signature': rule('warning', '2.2.2', 'This copy of the header is unusable; the other copy decides.'),
  'header-checksum': rule(
    'warning',
    '2.2.2',
    'This copy of the header is damaged or half written; the other copy decides.',
  ),
  'header-none-valid': rule('fatal', '2.2.2', 'Without a valid header nobody knows whether the log must be replayed.'),
  'header-sequence-tie': rule('fatal', '2.2.2', 'Two different headers claim to be the current one.'),
  'header-version': rule('fatal', '2.2.2', 'The file is of a format version that this reader does not know.'),
  'header-copies-differ': rule(
    'info',
    '2.2.2',
    'The older header tells of an earlier state; only the current one counts.',
  ),
  'log-version': rule(
    'fatal',
    '2.2.2',
    'The log is of a version that this reader does not know, so it cannot be replayed.',
  ),
  'log-offset': rule('fatal', '2.2.2', 'The log is not where a log can be, so it cannot be replayed.'),
  'log-length': rule('fatal', '2.2.2', 'The log has a length that no log can have, so it cannot be replayed.'),
  'log-outside-file': rule('fatal', '2.2.2', 'The file was cut off before the end of its log.'),
  'log-overlap': rule('fatal', '2.2.2', 'The log shares its place with another structure; one of them is garbage.'),

  // Region table
  'region-table-signature': rule(
    'warning',
    '2.2.3.1',
    'This copy of the region table is unusable; the other copy is used.',
  ),
  'region-table-checksum': rule(
    'warning',
    '2.2.3.1',
    'This copy of the region table is damaged; the other copy is used.',
  ),
  'region-table-none-valid': rule('fatal', '2.2.3', 'Nobody knows where the metadata and the BAT are.'),
  'region-tables-differ': rule('warning', '2.2.3', 'The two copies disagree; the first is used.'),
  'region-table-reserved': rule('warning', '2.2.3.1', 'Bits that must be zero are set; they are ignored.'),
  'region-entry-count': rule('fatal', '2.2.3.1', 'The table claims more entries than it has room for.'),
  'region-duplicate': rule('fatal', '2.2.3.2', 'One region is listed twice; nobody knows which of them counts.'),
  'region-offset': rule('fatal', '2.2.3.2', 'A region lies where no region can lie.'),
  'region-length': rule('fatal', '2.2.3.2', 'A region has a length that no region can have.'),
  'region-outside-file': rule('fatal', '2.2.3.2', 'The file was cut off before the end of a region.'),
  'region-overlap': rule('fatal', '2.2.3.2', 'Two structures share one place; one of them is garbage.'),
  'region-unknown-required': rule(
    'fatal',
    '2.2.3.2',
    'The image says it cannot be read without a region that this reader does not know.',
  ),
  'region-flags': rule('warning', '2.2.3.2', 'Bits that must be zero are set; they are ignored.'),
  'region-missing': rule('fatal', '2.2.3.2', 'A region without which no data can be found is not listed.'),

  // Metadata
  'metadata-signature': rule('fatal', '2.6.1.1', 'The metadata table was overwritten or never written.'),
  'metadata-reserved': rule('warning', '2.6.1.1', 'Bits that must be zero are set; they are ignored.'),
  'metadata-entry-count': rule('fatal', '2.6.1.1', 'The table claims more entries than it may have.'),
  'metadata-duplicate': rule('fatal', '2.6.1.2', 'One item is listed twice; nobody knows which of them counts.'),
  'metadata-item-id': rule('warning', '2.6.1.2', 'An entry without an identity is ignored.'),
  'metadata-item-length': rule('fatal', '2.6.1.2', 'An item has a length that no item can have.'),
  'metadata-item-offset': rule('fatal', '2.6.1.2', 'An item lies outside the metadata region.'),
  'metadata-item-overlap': rule('warning', '2.6.1.2', 'Two items share bytes; one of them may be garbage.'),
  'metadata-entry-reserved': rule('warning', '2.6.1.2', 'Bits that must be zero are set; they are ignored.'),
  'metadata-unknown-required': rule(
    'fatal',
    '2.6.1.2',
    'The image says it cannot be read without an item that this reader does not know.',
  ),
  'metadata-item-size': rule('fatal', '2.6.2', 'A known item does not have its one possible length.'),
  'metadata-item-missing': rule(
    'fatal',
    '2.6.2',
    'An item without which the geometry of the disk is unknown is not there.',
  ),
  'metadata-item-absent': rule('warning', '2.6.2', 'An item that should be there is not; reading does without it.'),
  'metadata-item-flags': rule('warning', '2.6.2', 'A known item carries other flags than it should; they are ignored.'),
  'incomplete-file': rule('fatal', '2.6.2', 'The program that made this image never finished making it.'),
  'block-size': rule('fatal', '2.6.2.1', 'Without a possible block size no data can be found.'),
  'file-parameters-reserved': rule('warning', '2.6.2.1', 'Bits that must be zero are set; they are ignored.'),
  'virtual-disk-size': rule('fatal', '2.6.2.2', 'The disk claims a size that no VHDX can have.'),
  'virtual-disk-size-alignment': rule(
    'warning',
    '2.6.2.2',
    'The disk ends inside a sector; its last bytes are readable all the same.',
  ),
  'virtual-disk-size-zero': rule('warning', '2.6.2.2', 'The disk is empty.'),
  'logical-sector-size': rule('fatal', '2.6.2.4', 'Without a possible sector size no data can be found.'),
  'physical-sector-size': rule(
    'warning',
    '2.6.2.5',
    'The physical sector size is impossible; the logical one is taken for it.',
  ),
  'parent-locator-missing': rule('fatal', '2.6.2.6', 'The disk has a parent and does not say which.'),
  'parent-locator-extra': rule(
    'warning',
    '2.6.2.6',
    'The disk names a parent and says that it has none; the parent is ignored.',
  ),

  // BAT
  'bat-too-short': rule('fatal', '2.5', 'The BAT has no room for an entry for each block of the disk.'),
  'bat-reserved-bits': rule('warning', '2.5.1', 'Bits that must be zero are set; they are ignored.'),
  'bat-reserved-state': rule('block', '2.5.1.1', 'Nobody knows what this block holds.'),
  'bat-draft-unmapped': rule(
    'warning',
    '2.5.1.1',
    'The block is unmapped as the 0.95 draft wrote it; it reads as zeros.',
  ),
  'bat-partial-without-parent': rule(
    'block',
    '2.5.1.1',
    'The block says it lies partly in a parent, and there is none.',
  ),
  'bat-offset-missing': rule(
    'block',
    '2.5.1',
    'The block is said to lie inside the header section, so its data is lost or elsewhere.',
  ),
  'bat-offset-range': rule('block', '2.5.1', 'The block is said to lie where no file reaches.'),
  'bat-past-end': rule('block', '2.5.1', 'The block lies past the end of the file: the file was cut off.'),
  'bat-overlap-structure': rule(
    'block',
    '2.5.1',
    'The block is said to lie on the log, the BAT, the metadata or another region.',
  ),
  'bat-block-overlap': rule(
    'warning',
    '2.5.1',
    'Two blocks share one place in the file: at most one of them holds its own data.',
  ),
  'bitmap-state': rule(
    'block',
    '2.5.1.2',
    'Nobody knows where the sector bitmap is, so nobody knows which sectors are in this file.',
  ),
  'bitmap-missing': rule(
    'block',
    '2.5.1.2',
    'A partly present block has no sector bitmap that says which sectors are in this file.',
  ),
  'bitmap-unexpected': rule('warning', '2.5.1.2', 'A disk without a parent carries sector bitmaps; they are ignored.'),
  'leaked-space': rule('warning', '2.5', 'The file holds space that nothing refers to; no data is lost.'),

  // Log
  'log-replayed': rule(
    'info',
    '2.3.3',
    'The image was not closed cleanly; its log was replayed in memory and all data is as its writer left it.',
  ),
  'log-dirty': rule('fatal', '2.3.3', 'The image was not closed cleanly, and replaying its log was not allowed.'),
  'log-no-sequence': rule(
    'fatal',
    '2.3.3',
    'The image was not closed cleanly and its log is unusable: what is in the file may be half written.',
  ),
  'log-truncated-file': rule(
    'fatal',
    '2.3.3',
    'The file is shorter than it was when its log was written: data was cut off.',
  ),
  'log-target': rule(
    'fatal',
    '2.3.1',
    'The log wants to overwrite a place that no log may touch; the image is damaged or made to do harm.',
  ),
  'log-file-size': rule(
    'warning',
    '2.3.1.1',
    'The log gives a file size that no writer should give; it is honoured where it can be.',
  ),
  'log-too-large': rule('fatal', '2.3.3', 'The log holds more changes than this reader keeps track of in memory.'),
  'log-dead': rule('info', '2.3', 'The log holds old entries that are rightly ignored.'),

  // Differencing
  'locator-type': rule('fatal', '2.6.2.6.1', 'The parent is not a VHDX file, as far as the image says.'),
  'locator-bounds': rule('fatal', '2.6.2.6.2', 'The description of the parent is damaged.'),
  'locator-text': rule(
    'warning',
    '2.6.2.6.2',
    'A text in the description of the parent is not as it should be; it is used as far as it goes.',
  ),
  'locator-reserved': rule('warning', '2.6.2.6.1', 'Bits that must be zero are set; they are ignored.'),
  'locator-duplicate-key': rule(
    'warning',
    '2.6.2.6.2',
    'A key stands twice in the description of the parent; the first is used.',
  ),
  'locator-linkage': rule('warning', '2.6.2.6.3', 'The image does not say which state of the parent it belongs to.'),
  'locator-no-path': rule(
    'warning',
    '2.6.2.6.3',
    'The image does not say where its parent was; it must be handed over.',
  ),
  'parent-missing': rule('block', '2.6.2.6', 'What this image did not change lies in a parent that is not at hand.'),
  'parent-mismatch': rule(
    'fatal',
    '2.6.2.6.3',
    'The parent was changed after the child was made, or it is another disk: reading both together gives garbage.',
  ),
  'parent-sector-size': rule('fatal', '2.6.2.4', 'Parent and child count in sectors of different size.'),
  'parent-cycle': rule('fatal', '2.6.2.6', 'The chain of parents comes back to itself.'),
  'parent-depth': rule('fatal', '2.6.2.6', 'The chain of parents is longer than any host makes.'),
  'parent-damaged': rule(
    'fatal',
    '2.6.2.6',
    'A parent does not open, so what this image did not change cannot be read.',
  ),
  'parent-guessed': rule(
    'info',
    '2.6.2.6.3',
    'The parent was not where the image says; a file of its name in the same folder fits and was taken.',
  ),
  'parent-smaller': rule(
    'info',
    '2.6.2.2',
    'The parent ends before the child; behind its end the child reads as zeros where it holds nothing itself.',
  ),
} as const satisfies Record<string, Rule>;

/** The code of a rule, as findings and errors carry it. */
export type RuleCode = keyof typeof RULES;

/** What a finding or an error is about, for programs: what its sentence says, as numbers. */
export interface Facts {
  /** Number of the BAT entry. */
  readonly batEntry?: number;
  /** Number of the payload block. */
  readonly block?: number;
  /** Number of the chunk whose sector bitmap block it is. */
  readonly chunk?: number;
  /** The range of the virtual disk that is concerned, in bytes. */
  readonly range?: { readonly offset: number; readonly length: number };
}

/** The place of a fault: a structure by the specification's name, the file offset in bytes if it is known, and facts. */
export interface Place {
  /** The structure, by the specification's own name, such as `region table 1` or `BAT entry 129`. */
  readonly structure: string;
  /** Offset in the file, in bytes. */
  readonly offset?: number;
  /** The same place in numbers, for what concerns a part of the disk. */
  readonly facts?: Facts;
}

/** Something wrong, odd or worth knowing about an image. Plain data that survives `JSON.stringify`. */
export interface Finding extends Place {
  /** How much it matters. */
  readonly severity: Severity;
  /** Which rule was broken; stable, for programs. */
  readonly code: RuleCode;
  /** What is wrong here, with the numbers; for people. */
  readonly message: string;
  /** Section of [MS-VHDX] that the rule comes from. */
  readonly spec: string;
  /** What it means for the data, in one sentence. */
  readonly meaning: string;
}

/** Makes the finding for a broken rule; `severity` where it differs from the rule's usual one. */
export function finding(
  code: RuleCode,
  message: string,
  place: Place,
  severity: Severity = RULES[code].severity,
): Finding {
  const { spec, meaning } = RULES[code];
  const { structure, offset, facts } = place;
  const where = { structure, ...(offset !== undefined && { offset }), ...(facts !== undefined && { facts }) };
  return { severity, code, message, ...where, spec, meaning };
}

/** Receives findings while structures are parsed. */
export type Report = (finding: Finding) => void;
