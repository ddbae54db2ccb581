import type { Advice } from '../errors.js';
import type { Finding, RuleCode } from '../rules.js';
import type { Examination, ExamineOptions } from './examination.js';

/** Codes of faults of the image as a whole that salvage works around. */
const SALVAGEABLE: readonly RuleCode[] = [
  'file-signature',
  'header-none-valid',
  'header-sequence-tie',
  'region-table-none-valid',
  'log-version',
  'log-offset',
  'log-length',
  'log-outside-file',
  'log-no-sequence',
  'log-truncated-file',
  'log-target',
  'log-file-size',
  'log-too-large',
];

/** Whether an image that does not open may open with salvage. */
export function isSalvageable({ findings, isVhdx }: Examination): boolean {
  const fatal = findings.filter(({ severity }) => severity === 'fatal');
  return isVhdx && fatal.length > 0 && fatal.every(({ code }) => SALVAGEABLE.includes(code));
}

const SALVAGE: Advice = {
  hint: 'salvage',
  text: "salvage: 'unverified' reads what the structures still say, which may be stale or wrong",
};

/** Why an image does not open, and the ways on. */
export function fatalOf(
  examination: Examination,
  { salvage }: Pick<ExamineOptions, 'salvage'>,
): { readonly fatal: Finding; readonly advice: readonly Advice[] } {
  const fatal = examination.findings.find(({ severity }) => severity === 'fatal');
  if (!fatal) throw new Error('an image without a fatal finding did not open');
  return { fatal, advice: isSalvageable(examination) && !salvage ? [SALVAGE] : [] };
}
