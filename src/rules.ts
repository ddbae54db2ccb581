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
  /** Section of [MS-VHDX] v8.0 that the rule comes from. */
  readonly spec: string;
}

// Bundlers may leave the rules out of a page that does not use them.
/* @__NO_SIDE_EFFECTS__ */
const rule = (severity: Severity, spec: string): Rule => ({ severity, spec });

/** Every rule that is checked, by the code its findings and errors carry. Its number and its meaning are in rule-meanings.ts. */
export const RULES = {
  // File and headers
  'file-signature': rule('fatal', '2.2.1'),
  'file-too-small': rule('fatal', '2.2'),
  'header-signature': rule('warning', '2.2.2'),
  'header-checksum': rule('warning', '2.2.2'),
  'header-none-valid': rule('fatal', '2.2.2'),
  'header-sequence-tie': rule('fatal', '2.2.2'),
  'header-version': rule('fatal', '2.2.2'),
  'header-copies-differ': rule('info', '2.2.2'),
  'log-version': rule('fatal', '2.2.2'),
  'log-offset': rule('fatal', '2.2.2'),
  'log-length': rule('fatal', '2.2.2'),
  'log-outside-file': rule('fatal', '2.2.2'),
  'log-overlap': rule('fatal', '2.2.2'),

  // Region table
  'region-table-signature': rule('warning', '2.2.3.1'),
  'region-table-checksum': rule('warning', '2.2.3.1'),
  'region-table-none-valid': rule('fatal', '2.2.3'),
  'region-tables-differ': rule('warning', '2.2.3'),
  'region-table-reserved': rule('warning', '2.2.3.1'),
  'region-entry-count': rule('fatal', '2.2.3.1'),
  'region-duplicate': rule('fatal', '2.2.3.2'),
  'region-offset': rule('fatal', '2.2.3.2'),
  'region-length': rule('fatal', '2.2.3.2'),
  'region-outside-file': rule('fatal', '2.2.3.2'),
  'region-overlap': rule('fatal', '2.2.3.2'),
  'region-unknown-required': rule('fatal', '2.2.3.2'),
  'region-flags': rule('warning', '2.2.3.2'),
  'region-missing': rule('fatal', '2.2.3.2'),

  // Metadata
  'metadata-signature': rule('fatal', '2.6.1.1'),
  'metadata-reserved': rule('warning', '2.6.1.1'),
  'metadata-entry-count': rule('fatal', '2.6.1.1'),
  'metadata-duplicate': rule('fatal', '2.6.1.2'),
  'metadata-item-id': rule('warning', '2.6.1.2'),
  'metadata-item-length': rule('fatal', '2.6.1.2'),
  'metadata-item-offset': rule('fatal', '2.6.1.2'),
  'metadata-item-overlap': rule('warning', '2.6.1.2'),
  'metadata-entry-reserved': rule('warning', '2.6.1.2'),
  'metadata-unknown-required': rule('fatal', '2.6.1.2'),
  'metadata-item-size': rule('fatal', '2.6.2'),
  'metadata-item-missing': rule('fatal', '2.6.2'),
  'metadata-item-absent': rule('warning', '2.6.2'),
  'metadata-item-flags': rule('warning', '2.6.2'),
  'incomplete-file': rule('fatal', '2.6.2'),
  'block-size': rule('fatal', '2.6.2.1'),
  'file-parameters-reserved': rule('warning', '2.6.2.1'),
  'virtual-disk-size': rule('fatal', '2.6.2.2'),
  'virtual-disk-size-alignment': rule('warning', '2.6.2.2'),
  'virtual-disk-size-zero': rule('warning', '2.6.2.2'),
  'logical-sector-size': rule('fatal', '2.6.2.4'),
  'physical-sector-size': rule('warning', '2.6.2.5'),
  'parent-locator-missing': rule('fatal', '2.6.2.6'),
  'parent-locator-extra': rule('warning', '2.6.2.6'),

  // BAT
  'bat-too-short': rule('fatal', '2.5'),
  'bat-reserved-bits': rule('warning', '2.5.1'),
  'bat-reserved-state': rule('block', '2.5.1.1'),
  'bat-draft-unmapped': rule('warning', '2.5.1.1'),
  'bat-partial-without-parent': rule('block', '2.5.1.1'),
  'bat-offset-missing': rule('block', '2.5.1'),
  'bat-offset-range': rule('block', '2.5.1'),
  'bat-past-end': rule('block', '2.5.1'),
  'bat-overlap-structure': rule('block', '2.5.1'),
  'bat-block-overlap': rule('block', '2.5.1'),
  'bat-unused-place': rule('warning', '2.5.1.1'),
  'bitmap-state': rule('block', '2.5.1.2'),
  'bitmap-missing': rule('block', '2.5.1.2'),
  'bitmap-unexpected': rule('warning', '2.5.1.2'),
  'leaked-space': rule('warning', '2.5'),

  // Log
  'log-replayed': rule('info', '2.3.3'),
  'log-dirty': rule('fatal', '2.3.3'),
  'log-no-sequence': rule('fatal', '2.3.3'),
  'log-truncated-file': rule('fatal', '2.3.3'),
  'log-target': rule('fatal', '2.3.1'),
  'log-file-size': rule('warning', '2.3.1.1'),
  'log-too-large': rule('fatal', '2.3.3'),
  'log-dead': rule('info', '2.3'),

  // What is assumed if the caller asks for it
  'salvage-signature': rule('block', '2.2.1'),
  'salvage-header': rule('block', '2.2.2'),
  'salvage-region-table': rule('block', '2.2.3'),
  'salvage-log': rule('block', '2.3.3'),
  'salvage-truncated': rule('block', '2.3.3'),
  'salvage-possible': rule('info', '2.3.3'),

  // Differencing
  'locator-type': rule('fatal', '2.6.2.6.1'),
  'locator-bounds': rule('fatal', '2.6.2.6.2'),
  'locator-text': rule('warning', '2.6.2.6.2'),
  'locator-reserved': rule('warning', '2.6.2.6.1'),
  'locator-duplicate-key': rule('warning', '2.6.2.6.2'),
  'locator-linkage': rule('warning', '2.6.2.6.3'),
  'locator-no-path': rule('warning', '2.6.2.6.3'),
  'parent-missing': rule('block', '2.6.2.6'),
  'parent-mismatch': rule('fatal', '2.6.2.6.3'),
  'parent-unverified': rule('fatal', '2.6.2.6.3'),
  'parent-sector-size': rule('fatal', '2.6.2.4'),
  'parent-cycle': rule('fatal', '2.6.2.6'),
  'parent-depth': rule('fatal', '2.6.2.6'),
  'parent-damaged': rule('fatal', '2.6.2.6'),
  'parent-guessed': rule('info', '2.6.2.6.3'),
  'parent-smaller': rule('info', '2.6.2.2'),

  // VHD of version 1, by the sections of its own specification
  'vhd-footer': rule('fatal', 'VHD, footer'),
  'vhd-footer-copy': rule('warning', 'VHD, footer'),
  'vhd-type': rule('fatal', 'VHD, footer'),
  'vhd-size': rule('fatal', 'VHD, footer'),
  'vhd-truncated': rule('fatal', 'VHD, footer'),
  'vhd-geometry': rule('info', 'VHD, footer'),
  'vhd-header': rule('fatal', 'VHD, dynamic disk header'),
  'vhd-bat': rule('fatal', 'VHD, BAT'),
  'vhd-block': rule('block', 'VHD, BAT'),
  'vhd-stray-bytes': rule('warning', 'VHD, data blocks'),
  'vhd-parent-size': rule('fatal', 'VHD, differencing disks'),

  // Other programs
  'file-being-written': rule('info', '2.2.2'),
} as const satisfies Record<string, Rule>;

/** The code of a rule, as findings and errors carry it. */
export type RuleCode = keyof typeof RULES;

/** What a violation of a rule means for the data, in one sentence. RangeError for what is no code of a rule. */
export async function meaningOf(code: RuleCode): Promise<string> {
  const { MEANINGS } = await import('./rule-meanings.js'); // for people, who come when all else is done
  if (!Object.hasOwn(MEANINGS, code)) throw new RangeError(`${String(code)} is no code of a rule`);
  return MEANINGS[code].meaning;
}

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
  /** Section of [MS-VHDX] that the rule comes from; {@link meaningOf} has what it means for the data. */
  readonly spec: string;
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
  const { structure, offset, facts } = place;
  const where = { structure, ...(offset !== undefined && { offset }), ...(facts !== undefined && { facts }) };
  const text = message.length > MAX_MESSAGE ? `${message.slice(0, MAX_MESSAGE)}…` : message;
  return { severity, code, message: text, ...where, spec: RULES[code].spec };
}

/** Receives findings while structures are parsed. */
export type Report = (finding: Finding) => void;
