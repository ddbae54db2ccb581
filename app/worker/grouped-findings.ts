import { type CheckReport, type Finding, meaningOf, type RuleCode, type Severity } from '../../src/index.js';
import type { CheckSummary, FindingGroup } from '../protocol.js';

const ORDER: readonly Severity[] = ['fatal', 'block', 'warning', 'info'];

/** The findings of a check, grouped by code and file. They stay in the worker: the page asks for the few that it shows. */
export class GroupedFindings {
  /** What the page gets at once. */
  readonly summary: CheckSummary;
  readonly #lists: readonly (readonly Finding[])[];

  private constructor(summary: CheckSummary, lists: readonly (readonly Finding[])[]) {
    this.summary = summary;
    this.#lists = lists;
  }

  static async of(report: CheckReport): Promise<GroupedFindings> {
    const members: CheckReport[] = [];
    for (let member: CheckReport | undefined = report; member; member = member.parent) members.push(member);
    const lists: Finding[][] = [];
    const groups: FindingGroup[] = [];
    for (const member of members) {
      for (const [code, findings] of byCode(member.findings)) {
        const [first] = findings;
        if (!first) continue;
        const { severity, spec } = first;
        const meaning = await meaningOf(code);
        const count = findings.length + (member.unlisted[code] ?? 0);
        const file = members.length > 1 && member.name !== undefined ? { file: member.name } : {};
        groups.push({ key: lists.length, ...file, code, severity, spec, meaning, count, listed: findings.length });
        lists.push(findings);
      }
    }
    groups.sort((a, b) => ORDER.indexOf(a.severity) - ORDER.indexOf(b.severity));
    const counts = { fatal: 0, block: 0, warning: 0, info: 0 };
    for (const { severity, count } of groups) counts[severity] += count;
    return new GroupedFindings({ status: report.status, counts, groups }, lists);
  }

  /** Some of the findings of a group. */
  list(group: number, from: number, to: number): readonly Finding[] {
    return this.#lists[group]?.slice(from, to) ?? [];
  }
}

function byCode(findings: readonly Finding[]): Map<RuleCode, Finding[]> {
  const groups = new Map<RuleCode, Finding[]>();
  for (const finding of findings) {
    const group = groups.get(finding.code);
    if (group) group.push(finding);
    else groups.set(finding.code, [finding]);
  }
  return groups;
}
