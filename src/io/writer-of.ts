import { builtinModule } from '../base/builtin-module.js';
import { type Finding, finding } from '../rules.js';
import { call } from './descriptor-file.js';
import { lockPathOf } from './lock-owner.js';
import type { RandomAccessSource } from './random-access.js';

/**
 * Who writes a file at present, by its `FILE.lock`, as the end of a sentence; undefined if there is no lock, or its owner
 * is gone. In Node, Bun and Deno. Never rejects.
 */
export async function writerOf(path: string): Promise<string | undefined> {
  const fs = builtinModule('fs');
  if (fs === undefined) return undefined;
  try {
    const lockPath = await lockPathOf(fs, path);
    await call<void>((done) => fs.access(lockPath, (error) => done(error)));
    const { ownerOf } = await import('./lock.js'); // there is a lock, which is rare
    return await ownerOf(lockPath);
  } catch {
    return undefined;
  }
}

/**
 * Adds a finding to each of some files that is being written.
 *
 * @param anonymous whether the finding does not say by which process
 */
export async function reportWriters(
  files: readonly { readonly source: RandomAccessSource; readonly findings: Finding[] }[],
  anonymous: boolean,
): Promise<void> {
  const report = async ({ source, findings }: (typeof files)[number]) => {
    const writer = source.path === undefined ? undefined : await writerOf(source.path);
    if (writer === undefined) return;
    const message = `is being written by ${anonymous ? 'another program' : writer}`;
    findings.push(finding('file-being-written', message, { structure: 'file' }));
  };
  await Promise.all(files.map(report));
}
