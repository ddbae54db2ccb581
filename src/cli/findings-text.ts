import type { Finding, RuleCode, Severity } from '../index.js';
import { hex } from './byte-size.js';
import { printable } from './terminal.js';

const TITLES: Readonly<Record<Severity, string>> = {
  fatal: 'Fatal: the image cannot be read',
  block: 'Damaged: only reads that touch these places fail',
  warning: 'Warnings: against the specification, and harmless to what is read',
  info: 'Information',
};

const SEVERITIES = ['fatal', 'block', 'warning', 'info'] as const;

type Unlisted = Readonly<Partial<Record<RuleCode, number>>>;

/**
 * Findings for people, the worst first, those of one rule together: what it means for the data, the section of the
 * specification, and each place with what is wrong there.
 *
 * @param listed how many of one rule are listed, the others are counted
 * @param unlisted how many more there are of a rule
 */
export function findingsText(findings: readonly Finding[], listed: number, unlisted: Unlisted = {}): string {
  const parts = SEVERITIES.map((severity) => {
    const rules = byCode(findings.filter((finding) => finding.severity === severity));
    if (rules.length === 0) return '';
    return `${TITLES[severity]}\n${rules.map((rule) => ruleText(rule, listed, unlisted)).join('')}`;
  });
  return parts.filter((part) => part !== '').join('\n');
}

function byCode(findings: readonly Finding[]): [Finding, ...Finding[]][] {
  const groups = new Map<RuleCode, [Finding, ...Finding[]]>();
  for (const finding of findings) {
    const group = groups.get(finding.code);
    if (group) group.push(finding);
    else groups.set(finding.code, [finding]);
  }
  return [...groups.values()];
}

function ruleText(found: readonly [Finding, ...Finding[]], listed: number, unlisted: Unlisted): string {
  const [{ code, meaning, spec }] = found;
  const more = Math.max(0, found.length - listed) + (unlisted[code] ?? 0);
  const places = found.slice(0, listed).map(({ structure, offset, message }) => {
    const place = offset === undefined ? '' : ` (at ${hex(offset)})`;
    return `    ${printable(`${structure}${place}: ${message}`)}\n`;
  });
  if (more > 0) places.push(`    and ${more} more\n`);
  return `  ${code} [MS-VHDX ${spec}]: ${meaning}\n${places.join('')}`;
}
