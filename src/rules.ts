/**
 * How much a finding matters.
 *
 * - `fatal`: it is unknown what the bytes mean; the image does not open.
 * - `block`: one place is bad or in doubt; only reads that touch it fail.
 * - `warning`: odd or against the specification, and harmless to what is read.
 * - `info`: nothing is wrong; worth knowing.
 */
export type Severity = 'fatal' | 'block' | 'warning' | 'info';

interface Rule {
  readonly severity: Severity;
  /** Its number or numbers in docs/rules.md, such as `83, 84`; empty for what has none. */
  readonly number: string;
  /** Section of [MS-VHDX] v8.0 that the rule comes from. */
  readonly spec: string;
  /** One sentence: what a violation of this rule means for the data. */
  readonly meaning: string;
}

// Bundlers may leave the rules out of a page that does not use them.
/* @__NO_SIDE_EFFECTS__ */
const rule = (severity: Severity, number: string, spec: string, meaning: string): Rule => ({
  severity,
  number,
  spec,
  meaning,
});

/** Every rule that is checked, by the code its findings and errors carry. */
// biome-ignore format: a table, one rule a line
export const RULES = {
  // File and headers
  'file-signature': rule('fatal', '1', '2.2.1', 'This is not a VHDX file, or its first bytes were overwritten.'),
  'file-too-small': rule('fatal', '3', '2.2', 'The file ends inside its own header section: it was truncated.'),
  'header-signature': rule('warning', '4', '2.2.2', 'This copy of the header is not valid; the other copy is used.'),
  'header-checksum': rule('warning', '5', '2.2.2', 'This copy of the header is damaged or half written; the other copy is used.'),
  'header-none-valid': rule('fatal', '6', '2.2.2', 'Neither header is valid, so it is unknown whether the log must be replayed.'),
  'header-sequence-tie': rule('fatal', '8', '2.2.2', 'Two different headers carry the same sequence number, so it is unknown which is current.'),
  'header-version': rule('fatal', '10', '2.2.2', 'The format version of the file is not supported.'),
  'header-copies-differ': rule('info', '9', '2.2.2', 'The older header describes an earlier state; only the current one is used.'),
  'log-version': rule('fatal', '11', '2.2.2', 'The version of the log is not supported, so it cannot be replayed.'),
  'log-offset': rule('fatal', '12', '2.2.2', 'The log has an impossible offset, so it cannot be replayed.'),
  'log-length': rule('fatal', '13, 14', '2.2.2', 'The log has an impossible length, so it cannot be replayed.'),
  'log-outside-file': rule('fatal', '15', '2.2.2', 'The file was truncated before the end of its log.'),
  'log-overlap': rule('fatal', '16', '2.2.2', 'The log overlaps another structure; at most one of them is intact.'),

  // Region table
  'region-table-signature': rule('warning', '20', '2.2.3.1', 'This copy of the region table is not valid; the other copy is used.'),
  'region-table-checksum': rule('warning', '20', '2.2.3.1', 'This copy of the region table is damaged; the other copy is used.'),
  'region-table-none-valid': rule('fatal', '20', '2.2.3', 'Neither region table is valid, so it is unknown where the metadata and the BAT are.'),
  'region-tables-differ': rule('warning', '21', '2.2.3', 'The two copies differ; the first is used.'),
  'region-table-reserved': rule('warning', '23', '2.2.3.1', 'Bits that must be zero are set; they are ignored.'),
  'region-entry-count': rule('fatal', '22', '2.2.3.1', 'The table claims more entries than it has room for.'),
  'region-duplicate': rule('fatal', '24', '2.2.3.2', 'One region is listed twice, so it is unknown which of the two is valid.'),
  'region-offset': rule('fatal', '25', '2.2.3.2', 'A region has an impossible offset.'),
  'region-length': rule('fatal', '26', '2.2.3.2', 'A region has an impossible length.'),
  'region-outside-file': rule('fatal', '27', '2.2.3.2', 'The file was truncated before the end of a region.'),
  'region-overlap': rule('fatal', '28', '2.2.3.2', 'Two structures overlap; at most one of them is intact.'),
  'region-unknown-required': rule('fatal', '29', '2.2.3.2', 'The image cannot be read without a region that is unknown to this reader.'),
  'region-flags': rule('warning', '31', '2.2.3.2', 'Bits that must be zero are set; they are ignored.'),
  'region-missing': rule('fatal', '32', '2.2.3.2', 'A region that is needed to find any data is not listed.'),

  // Metadata
  'metadata-signature': rule('fatal', '33', '2.6.1.1', 'The metadata table was overwritten or never written.'),
  'metadata-reserved': rule('warning', '34', '2.6.1.1', 'Bits that must be zero are set; they are ignored.'),
  'metadata-entry-count': rule('fatal', '35', '2.6.1.1', 'The table claims more entries than it may have.'),
  'metadata-duplicate': rule('fatal', '37', '2.6.1.2', 'One item is listed twice, so it is unknown which of the two is valid.'),
  'metadata-item-id': rule('warning', '38', '2.6.1.2', 'An entry without an item id is ignored.'),
  'metadata-item-length': rule('fatal', '39', '2.6.1.2', 'An item has an impossible length.'),
  'metadata-item-offset': rule('fatal', '40', '2.6.1.2', 'An item is outside the metadata region.'),
  'metadata-item-overlap': rule('warning', '41', '2.6.1.2', 'Two items overlap; one of them may be damaged.'),
  'metadata-entry-reserved': rule('warning', '42', '2.6.1.2', 'Bits that must be zero are set; they are ignored.'),
  'metadata-unknown-required': rule('fatal', '43', '2.6.1.2', 'The image cannot be read without an item that is unknown to this reader.'),
  'metadata-item-size': rule('fatal', '45', '2.6.2', 'A known item does not have the length that the specification gives it.'),
  'metadata-item-missing': rule('fatal', '46', '2.6.2', 'An item is missing without which the geometry of the disk is unknown.'),
  'metadata-item-absent': rule('warning', '46', '2.6.2', 'A required item is missing; reading does not depend on it.'),
  'metadata-item-flags': rule('warning', '47', '2.6.2', 'A known item carries the wrong flags; they are ignored.'),
  'incomplete-file': rule('fatal', '55', '2.6.2', 'The program that created this image never finished creating it.'),
  'block-size': rule('fatal', '48', '2.6.2.1', 'The block size is impossible, so no data can be found.'),
  'file-parameters-reserved': rule('warning', '49', '2.6.2.1', 'Bits that must be zero are set; they are ignored.'),
  'virtual-disk-size': rule('fatal', '53', '2.6.2.2', 'The disk claims a size that no VHDX can have.'),
  'virtual-disk-size-alignment': rule('warning', '53', '2.6.2.2', 'The disk ends inside a sector; its last bytes can still be read.'),
  'virtual-disk-size-zero': rule('warning', '53', '2.6.2.2', 'The disk is empty.'),
  'logical-sector-size': rule('fatal', '51', '2.6.2.4', 'The logical sector size is impossible, so no data can be found.'),
  'physical-sector-size': rule('warning', '52', '2.6.2.5', 'The physical sector size is impossible; the logical one is used instead.'),
  'parent-locator-missing': rule('fatal', '54', '2.6.2.6', 'The image is differencing but does not identify its parent.'),
  'parent-locator-extra': rule('warning', '54', '2.6.2.6', 'The image names a parent but is not differencing; the parent is ignored.'),

  // BAT
  'bat-too-short': rule('fatal', '56', '2.5', 'The BAT is too short for the blocks of the disk.'),
  'bat-reserved-bits': rule('warning', '58', '2.5.1', 'Bits that must be zero are set; they are ignored.'),
  'bat-reserved-state': rule('block', '59', '2.5.1.1', 'The state of the block has no meaning, so it is unknown what the block holds.'),
  'bat-draft-unmapped': rule('warning', '59', '2.5.1.1', 'The block is unmapped as the 0.95 draft wrote it; it reads as zeros.'),
  'bat-partial-without-parent': rule('block', '60', '2.5.1.1', 'The block is partially present, but the disk has no parent to hold the rest.'),
  'bat-offset-missing': rule('block', '61', '2.5.1', 'The block has an offset inside the header section, so its data is lost or elsewhere.'),
  'bat-offset-range': rule('block', '63', '2.5.1', 'The block has an offset past the end of any possible file.'),
  'bat-past-end': rule('block', '62', '2.5.1', 'The block is past the end of the file: the file was truncated.'),
  'bat-overlap-structure': rule('block', '64', '2.5.1', 'The block overlaps the log, the BAT, the metadata or another region.'),
  'bat-block-overlap': rule('block', '65', '2.5.1', 'Two blocks share one place in the file: at most one of them holds its own data.'),
  'bat-unused-place': rule('warning', '65b', '2.5.1.1', 'A block keeps a place in the file that another block has, or that the file does not have, and nothing that is read depends on it.'),
  'bitmap-state': rule('block', '67', '2.5.1.2', 'It is unknown where the sector bitmap is, and so which sectors are in this file.'),
  'bitmap-missing': rule('block', '69', '2.5.1.2', 'A partially present block has no sector bitmap that says which sectors are in this file.'),
  'bitmap-unexpected': rule('warning', '68', '2.5.1.2', 'A disk without a parent has sector bitmap blocks; they are ignored.'),
  'leaked-space': rule('warning', '', '2.5', 'The file contains space that nothing refers to; no data is lost.'),

  // Log
  'log-replayed': rule('info', '97', '2.3.3', 'The image was not closed cleanly; its log was replayed in memory, and all data is as its writer left it.'),
  'log-dirty': rule('fatal', '97', '2.3.3', 'The image was not closed cleanly, and the caller did not allow its log to be replayed.'),
  'log-no-sequence': rule('fatal', '91', '2.3.3', 'The image was not closed cleanly and its log is not usable: the file may be half written.'),
  'log-truncated-file': rule('fatal', '93', '2.3.3', 'The file is shorter than it was when its log was written: data was cut off.'),
  'log-target': rule('fatal', '83, 84', '2.3.1', 'The log writes to a place that no log may change; the image is damaged or malicious.'),
  'log-file-size': rule('warning', '94', '2.3.1.1', 'The log gives an invalid file size; it is used as far as possible.'),
  'log-too-large': rule('fatal', '17', '2.3.3', 'The log makes more changes than this reader keeps in memory.'),
  'log-dead': rule('info', '', '2.3', 'The log holds old entries, which are ignored as the specification requires.'),

  // What is assumed if the caller asks for it
  'salvage-signature': rule('block', '1', '2.2.1', 'The file does not begin as a VHDX file does; it is read as one because the caller asked for it.'),
  'salvage-header': rule('block', '6, 8', '2.2.2', 'No header is certain; the state of the log and the identity of the image are unverified.'),
  'salvage-region-table': rule('block', '20', '2.2.3', 'No region table is valid; if the one that is used is wrong, what is read is garbage.'),
  'salvage-log': rule('block', '91', '2.3.3', 'The log is not replayed; what is read may be stale or half written.'),
  'salvage-truncated': rule('block', '93', '2.3.3', 'The file was truncated; its log is replayed as far as the file goes, and what is past its end is lost.'),
  'salvage-possible': rule('info', '91', '2.3.3', 'The image does not open, but what its structures still say can be read as unverified, if the caller asks for it.'),

  // Differencing
  'locator-type': rule('fatal', '100, 112', '2.6.2.6.1', 'The parent is not a VHDX file, according to the image.'),
  'locator-bounds': rule('fatal', '101', '2.6.2.6.2', 'The parent locator is damaged.'),
  'locator-text': rule('warning', '102', '2.6.2.6.2', 'A text of the parent locator is malformed; it is used as far as possible.'),
  'locator-reserved': rule('warning', '102b', '2.6.2.6.1', 'Bits that must be zero are set; they are ignored.'),
  'locator-duplicate-key': rule('warning', '103', '2.6.2.6.2', 'A key of the parent locator is repeated; the first is used.'),
  'locator-linkage': rule('warning', '104', '2.6.2.6.3', 'The image does not say which state of the parent it belongs to.'),
  'locator-no-path': rule('warning', '107', '2.6.2.6.3', 'The image does not say where its parent is; the caller must supply it.'),
  'parent-missing': rule('block', '', '2.6.2.6', 'What this image does not hold itself is in a parent that is not available.'),
  'parent-mismatch': rule('fatal', '106', '2.6.2.6.3', 'The parent was changed after the child was created, or is another disk: reading both together gives garbage.'),
  'parent-unverified': rule('fatal', '104', '2.6.2.6.3', 'It is not recorded which state of which parent the image was created for, so no file can be verified to be its parent.'),
  'parent-sector-size': rule('fatal', '108', '2.6.2.4', 'Parent and child have different logical sector sizes.'),
  'parent-cycle': rule('fatal', '111', '2.6.2.6', 'The chain of parents contains a cycle.'),
  'parent-depth': rule('fatal', '111', '2.6.2.6', 'The chain of parents is longer than any host creates.'),
  'parent-damaged': rule('fatal', '', '2.6.2.6', 'A parent does not open, so what this image does not hold itself cannot be read.'),
  'parent-guessed': rule('info', '107', '2.6.2.6.3', 'The parent was not at any path in the image; a file in the same folder has the right identity and is used.'),
  'parent-smaller': rule('info', '110', '2.6.2.2', 'The parent is smaller than the child; past its end the child reads as zeros unless it holds data itself.'),
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
  /** Number of valid log entries that carry the log GUID of the image. */
  readonly logEntries?: number;
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

/** Longest message of a finding, in UTF-16 units; longer ones are cut. */
const MAX_MESSAGE = 2000;

/** Makes the finding for a broken rule; `severity` if it differs from the rule's usual one. */
export function finding(
  code: RuleCode,
  message: string,
  place: Place,
  severity: Severity = RULES[code].severity,
): Finding {
  const { spec, meaning } = RULES[code];
  const { structure, offset, facts } = place;
  const where = { structure, ...(offset !== undefined && { offset }), ...(facts !== undefined && { facts }) };
  const text = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message;
  return { severity, code, message: text, ...where, spec, meaning };
}

/** Receives findings while structures are parsed. */
export type Report = (finding: Finding) => void;
