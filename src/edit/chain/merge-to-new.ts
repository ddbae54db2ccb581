import { loadCore } from '../../core/load.js';
import type { VhdxDisk } from '../../disk/disk.js';
import { openVhdx } from '../../disk/open.js';
import type { OpenOptions } from '../../disk/open-options.js';
import { writeImage } from '../create/write-image.js';
import { lookAt, pathOf, type VhdxTarget } from '../target.js';
import { warnOfOverrides } from '../warn-of-overrides.js';
import type { MergeOptions, MergeReport } from './merge-options.js';
import { childrenIn, membersOf, nameOf, refuseAlone } from './merge-plan.js';

/** Merges a chain into a new file, and touches nothing else. */
export function mergeToNew(child: VhdxTarget, into: VhdxTarget, options: MergeOptions): Promise<MergeReport> {
  const { parent, followParents, ignoreParentMismatch, http, signal, onProgress, onWarning, dryRun } = options;
  const sourceOptions: OpenOptions = { parent, followParents, ignoreParentMismatch, http, signal };
  return lookAt(child, async (source) => {
    const disk = await openVhdx(source, sourceOptions);
    warnOfOverrides(disk, options);
    let report: MergeReport;
    try {
      report = await plan(disk, into, options);
    } finally {
      await disk.close();
    }
    if (!dryRun) await writeImage(source, into, { sourceOptions, signal, onProgress, onWarning });
    return report;
  });
}

async function plan(disk: VhdxDisk, into: VhdxTarget, options: MergeOptions): Promise<MergeReport> {
  refuseAlone(disk);
  let copied = 0;
  for await (const { kind, length } of disk.extents({ signal: options.signal })) if (kind === 'data') copied += length;
  const children = await childrenIn(await loadCore(), disk, options);
  return {
    base: pathOf(into) ?? 'the new file',
    merged: membersOf(disk).map(nameOf),
    copied,
    zeroed: 0,
    sizeBefore: disk.size,
    sizeAfter: disk.size,
    broken: [],
    orphans: children.map(({ path }) => path),
  };
}
