import { type Finding, meaningOf, type RuleCode, type Severity } from '../index.js';
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
export async function findingsText(
  findings: readonly Finding[],
  listed: number,
  unlisted: Unlisted = {},
): Promise<string> {
  const parts = SEVERITIES.map(async (severity) => {
    const rules = byCode(findings.filter((finding) => finding.severity === severity));
    if (rules.length === 0) return '';
    const texts = await Promise.all(rules.map((rule) => ruleText(rule, listed, unlisted)));
    return `${TITLES[severity]}\n${texts.join('')}`;
  });
  return (await Promise.all(parts)).filter((part) => part !== '').join('\n');
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

async function ruleText(found: readonly [Finding, ...Finding[]], listed: number, unlisted: Unlisted): Promise<string> {
  const [{ code, spec }] = found;
  const more = Math.max(0, found.length - listed) + (unlisted[code] ?? 0);
  const places = found.slice(0, listed).map(({ structure, offset, message }) => {
    const place = offset === undefined ? '' : ` (at ${hex(offset)})`;
    return `    ${printable(`${structure}${place}: ${message}`)}\n`;
  });
  if (more > 0) places.push(`    and ${more} more\n`);
  return `  ${code} [MS-VHDX ${spec}]: ${await meaningOf(code)}\n${places.join('')}`;
}
