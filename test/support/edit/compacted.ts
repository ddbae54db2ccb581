import { expect } from 'vitest';
import { compactImage } from '../../../src/edit/compact/compact-image.js';
import type { CompactOptions, CompactReport } from '../../../src/index.js';
import { viewDifference } from '../crash/explore.js';
import { readState, type StateView } from '../crash/state-reader.js';
import { checkClosed, checkTrace } from '../crash/trace-rules.js';
import type { ImageSpec } from '../image-spec.js';
import { countedIdentity } from './driven-disk.js';
import { type JobFile, jobFile } from './resized.js';

/** Compacts an image, and asserts that it is sound, holds what it held, and is the same to its children. */
export async function compacted(
  spec: ImageSpec,
  { parent: parentSpec, ...options }: CompactOptions & { readonly parent?: ImageSpec } = {},
): Promise<JobFile & { readonly report: CompactReport; readonly after: StateView }> {
  const { file, parent, before } = jobFile(spec, parentSpec);
  const dry = await compactImage(file, { ...options, dryRun: true });
  expect(file.trace).toEqual([]);
  const report = await compactImage(file, options, countedIdentity());
  expect(report).toEqual(dry);
  const image = file.content();
  checkTrace(file);
  checkClosed(image);
  const after = readState(image, parent);
  expect(after.metadata).toEqual(before.metadata);
  expect(report).toMatchObject({ fileSizeBefore: file.before.size, fileSizeAfter: image.size });
  if (report.freeBlocks > 0) {
    expect(after.header.dataWriteGuid).not.toBe(before.header.dataWriteGuid);
  } else {
    expect(after.header.dataWriteGuid).toBe(before.header.dataWriteGuid);
    expect(viewDifference(before, after)).toBeUndefined();
  }
  return { file, parent, before, report, after };
}
