import type { ProgressOptions, Shard } from '../base/options.js';
import type { BlockCounts } from '../image/block-counts.js';
import type { Examination } from '../image/examination.js';
import type { DiskInfo } from '../image/info.js';
import type { OpenImage } from '../image/open-image.js';
import type { ReadOptions } from '../io/random-access.js';
import { countEntries, LogRing } from '../log/ring.js';
import { type Finding, finding, type RuleCode, type Severity } from '../rules.js';

/**
 * The verdict on an image:
 *
 * - `sound`: nothing is wrong;
 * - `repairable`: all data is there, and something is worth repairing or space is lost;
 * - `incomplete`: no data here is lost, but a parent, which has the rest of it, is not available;
 * - `corrupt`: some data is lost or in doubt;
 * - `unreadable`: the image does not open.
 */
export type CheckStatus = 'sound' | 'repairable' | 'incomplete' | 'corrupt' | 'unreadable';

/** What a check found. Plain data that survives `JSON.stringify`. */
export interface CheckReport {
  /** The verdict. */
  readonly status: CheckStatus;
  /** What the file is called, where it has a name. */
  readonly name?: string;
  /** Absolute path of the file, where it was opened by a path and the image is not `untrusted`. */
  readonly path?: string;
  /** In bytes. */
  readonly fileSize: number;
  /** Everything that was found; at most 1,000 findings of one code, the others are only counted. */
  readonly findings: readonly Finding[];
  /** How many findings there are of each severity, those that are not listed too. */
  readonly counts: Readonly<Record<Severity, number>>;
  /** How many findings of a code are not listed. */
  readonly unlisted: Readonly<Partial<Record<RuleCode, number>>>;
  /** What the image says about itself, where it opens. */
  readonly info?: DiskInfo;
  /** What its blocks are, where it opens. */
  readonly blocks?: BlockCounts;
  /** The check of the parent, if it is available. */
  readonly parent?: CheckReport;
  /** Which part it is of a check that is done in parts. */
  readonly shard?: Shard;
}

/** Options of a check. */
export interface CheckOptions extends ReadOptions, ProgressOptions {
  /**
   * Judges the places of blocks in one of several equal parts of the file only: what takes long of a file of many
   * terabytes. `combineChecks` makes one report of those of all parts.
   */
  readonly shard?: Shard | undefined;
}

/** A report with the place of its file, if that is known and may be said. */
export function withPath(report: CheckReport, path: string | undefined): CheckReport {
  return path === undefined ? report : { ...report, path };
}

/** Checks everything of an image that opens. `info` describes it, `chainFindings` are those about it and its parent. */
export async function checkImage(
  image: OpenImage,
  info: DiskInfo,
  chainFindings: readonly Finding[],
  options: CheckOptions,
): Promise<CheckReport> {
  const { examination } = image;
  const deadLog = await inspectDeadLog(examination, options);
  const { counts: blocks, unlisted, findings: batFindings } = await image.scanBat(options);
  const { shard } = options;
  const findings = [
    ...examination.findings,
    ...deadLog,
    ...batFindings,
    ...leakedSpace(blocks),
    ...(shard && shard.index > 0 ? [] : chainFindings),
  ];
  return {
    status: judge(findings),
    ...nameOf(examination),
    fileSize: info.fileSize,
    findings,
    counts: countSeverities(findings, Object.fromEntries(unlisted)),
    unlisted: Object.fromEntries(unlisted),
    info,
    blocks,
    ...(shard && { shard }),
  };
}

/** The finding that space of the file is lost, if it is. */
export function leakedSpace({ leakedBytes }: BlockCounts): Finding[] {
  if (leakedBytes === 0) return [];
  const message = `${leakedBytes} bytes after the first payload block are referred to by nothing`;
  return [finding('leaked-space', message, { structure: 'file' })];
}

/** The report on an image that does not open. `salvaged` is what an examination with salvage found, if it helps. */
export async function reportUnreadable(
  examination: Examination,
  salvaged: Examination | undefined,
  fileSize: number,
  options: CheckOptions,
): Promise<CheckReport> {
  const findings = [
    ...examination.findings,
    ...(await inspectDeadLog(examination, options)),
    ...(salvaged ? [salvagePossible(salvaged)] : []),
  ];
  const counts = countSeverities(findings, {});
  const shard = options.shard && { shard: options.shard };
  return { status: 'unreadable', ...nameOf(examination), fileSize, findings, counts, unlisted: {}, ...shard };
}

function salvagePossible({ findings }: Examination): Finding {
  const assumed = findings.filter(({ code }) => code.startsWith('salvage-'));
  const message = `opens with salvage: ${assumed.map((found) => `${found.structure}: ${found.message}`).join('; ')}`;
  return finding('salvage-possible', message, { structure: 'file' });
}

const nameOf = ({ source: { name } }: Examination): { name?: string } => (name === undefined ? {} : { name });

/** The report on a chain: an image is not better than its parent. */
export function withParent(report: CheckReport, parent: CheckReport): CheckReport {
  const order: readonly CheckStatus[] = ['sound', 'repairable', 'incomplete', 'corrupt', 'unreadable'];
  const status =
    order[Math.max(order.indexOf(report.status), Math.min(order.indexOf(parent.status), order.indexOf('corrupt')))];
  return { ...report, status: status ?? report.status, parent };
}

/** The verdict on an image that opens. */
export function judge(findings: readonly Finding[]): CheckStatus {
  const bad = findings.filter(({ severity }) => severity === 'fatal' || severity === 'block');
  if (bad.length > 0) return bad.every(({ code }) => code === 'parent-missing') ? 'incomplete' : 'corrupt';
  return findings.some(({ severity }) => severity === 'warning') ? 'repairable' : 'sound';
}

/** How many findings there are of each severity; `unlisted` is how many of a code are not among them. */
export function countSeverities(
  findings: readonly Finding[],
  unlisted: CheckReport['unlisted'],
): Record<Severity, number> {
  const counts: Record<Severity, number> = { fatal: 0, block: 0, warning: 0, info: 0 };
  for (const { severity } of findings) counts[severity] += 1;
  for (const [code, count] of Object.entries(unlisted)) {
    const sample = findings.find((found) => found.code === code);
    if (sample) counts[sample.severity] += count;
  }
  return counts;
}

/** Describes entries in the log of a clean image: they are rightly ignored, and a forensic reader wants to know of them. */
async function inspectDeadLog({ isDirty, log, source }: Examination, options: ReadOptions): Promise<Finding[]> {
  if (!log || isDirty || log.offset + log.length > source.size) return [];
  const { count, all } = await countEntries(new LogRing(source, log, options));
  if (count === 0) return [];
  const known = all ? `${count}` : `at least ${count}`;
  return [finding('log-dead', `holds ${known} old entries, and the log GUID is zero`, log)];
}
