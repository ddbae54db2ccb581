import { type CheckReport, countSeverities, judge, leakedSpace, withParent } from '../disk/check.js';
import type { BlockCounts } from '../image/block-counts.js';
import type { Finding, RuleCode } from '../rules.js';

/** Findings of one code that a report lists. */
const LISTED = 1000;

/** What `combineChecks` does. */
export function combineReports(parts: readonly CheckReport[]): CheckReport {
  const reports = inOrder(parts);
  const [first, second = first] = reports;
  if (!first || !second) throw new RangeError('there are no parts');
  const own = reports.length === 1 ? withoutShard(first) : combineOwn(reports, first, second);
  const parents = reports.flatMap(({ parent }) => (parent ? [parent] : []));
  if (parents.length === 0) return own;
  if (parents.length < reports.length) throw new RangeError('the parent is in some of the parts only');
  return withParent(own, combineReports(parents));
}

/** The parts by their numbers, each once. */
function inOrder(parts: readonly CheckReport[]): CheckReport[] {
  const of = parts[0]?.shard?.of ?? 0;
  const reports: CheckReport[] = [];
  for (const part of parts) {
    if (part.shard === undefined) throw new RangeError('a report is not one of a part');
    if (part.shard.of !== of) throw new RangeError(`parts of ${of} and of ${part.shard.of}`);
    const before = reports[part.shard.index];
    if (before && JSON.stringify(before) !== JSON.stringify(part))
      throw new RangeError(`part ${part.shard.index} of ${of} is there twice, and differs`);
    reports[part.shard.index] = part;
  }
  for (let index = 0; index < of; index++) {
    if (!reports[index]) throw new RangeError(`part ${index} of ${of} is missing`);
  }
  return reports;
}

function combineOwn(reports: readonly CheckReport[], first: CheckReport, second: CheckReport): CheckReport {
  for (const report of reports) checkSameImage(first, report);
  const { blocks } = first;
  if (!blocks) return withoutShard(first); // it does not open, and each part says the same
  // Part 0 alone has what was found about the chain, after what is about this file.
  const common = second.findings.filter((found) => !isOfPart(found)).length;
  const others = first.findings.filter((found) => !isOfPart(found));
  const all = reports.flatMap(({ findings }) => findings.filter(isOfEntry));
  const { listed, unlisted } = limit(all.sort((a, b) => entryOf(a) - entryOf(b)));
  for (const report of reports) {
    for (const [code, count] of Object.entries(report.unlisted) as [RuleCode, number][])
      unlisted[code] = (unlisted[code] ?? 0) + count;
  }
  const sums = sumBlocks(reports, blocks, first.fileSize);
  const findings = [...others.slice(0, common), ...listed, ...leakedSpace(sums), ...others.slice(common)];
  const counts = countSeverities(findings, unlisted);
  const { shard: _, parent: __, ...rest } = first;
  return { ...rest, status: judge(findings), findings, counts, unlisted, blocks: sums };
}

function withoutShard({ shard: _, parent: __, ...report }: CheckReport): CheckReport {
  return report;
}

const entryOf = ({ facts }: Finding): number => facts?.batEntry ?? -1;
const isOfEntry = (found: Finding): boolean => entryOf(found) >= 0;
const isOfPart = (found: Finding): boolean => isOfEntry(found) || found.code === 'leaked-space';

function checkSameImage(first: CheckReport, report: CheckReport): void {
  const identity = ({ fileSize, info, blocks }: CheckReport) => JSON.stringify([fileSize, info, blocks === undefined]);
  if (identity(first) !== identity(report))
    throw new RangeError(`part ${report.shard?.index} is of another image, or of this one after it was changed`);
}

function limit(findings: readonly Finding[]): { listed: Finding[]; unlisted: Partial<Record<RuleCode, number>> } {
  const seen = new Map<RuleCode, number>();
  const unlisted: Partial<Record<RuleCode, number>> = {};
  const listed = findings.filter(({ code }) => {
    const before = seen.get(code) ?? 0;
    seen.set(code, before + 1);
    if (before >= LISTED) unlisted[code] = before + 1 - LISTED;
    return before < LISTED;
  });
  return { listed, unlisted };
}

function sumBlocks(reports: readonly CheckReport[], first: BlockCounts, fileSize: number): BlockCounts {
  const sum = (name: keyof BlockCounts): number =>
    reports.reduce((total, { blocks }) => total + (blocks?.[name] ?? 0), 0);
  const names = Object.keys(first) as (keyof BlockCounts)[];
  const sums = Object.fromEntries(names.map((name) => [name, sum(name)])) as unknown as BlockCounts;
  return { ...sums, payloadBlocks: first.payloadBlocks, storedBytes: Math.min(sum('storedBytes'), fileSize) };
}
