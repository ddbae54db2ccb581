import { type CheckReport, type Finding, meaningOf } from '../index.js';
import { kebabKeys } from './dialect.js';

/** Formats of images that are checked, in qemu-img's words. */
export type CheckedFormat = 'vhdx' | 'vpc';

/** A check in the keys of qemu-img, and ours beside them. */
export async function checkJson(report: CheckReport, filename: string, format: CheckedFormat): Promise<object> {
  const { status, name: _, fileSize, findings, counts, unlisted, info, blocks, parent } = report;
  const corruptions = counts.fatal + counts.block;
  const leaks = info && blocks ? Math.ceil(blocks.leakedBytes / info.blockSize) : 0;
  return {
    filename,
    format,
    'check-errors': 0,
    ...(corruptions > 0 && { corruptions }),
    ...(leaks > 0 && { leaks }),
    ...(blocks && {
      'total-clusters': blocks.payloadBlocks,
      'allocated-clusters': blocks.fullyPresent + blocks.partiallyPresent,
    }),
    status,
    'file-size': fileSize,
    counts,
    findings: await findingsJson(findings),
    unlisted,
    ...(blocks && { blocks: kebabKeys(blocks) }),
    ...(info && { info: infoJson(info) }),
    ...(parent && { parent: await checkJson(parent, parent.name ?? '', format) }),
  };
}

function infoJson({ parentLocator, ...rest }: NonNullable<CheckReport['info']>): object {
  return { ...(kebabKeys(rest) as object), ...(parentLocator && { 'parent-locator': parentLocator }) };
}

/** Findings for programs: in the manner of qemu-img, each with what it means for the data. */
export function findingsJson(findings: readonly Finding[]): Promise<unknown[]> {
  return Promise.all(
    findings.map(async (finding) => kebabKeys({ ...finding, meaning: await meaningOf(finding.code) })),
  );
}
