import { builtinModule } from '../base/builtin-module.js';
import { type Finding, finding } from '../rules.js';
import { call } from './descriptor-file.js';
import { lockPathOf } from './lock-owner.js';

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
 * The finding that a file is being written, in a list; an empty one if it is not.
 *
 * @param anonymous whether the finding does not say by which process
 */
export async function writerFindings(path: string, anonymous: boolean): Promise<Finding[]> {
  const writer = await writerOf(path);
  if (writer === undefined) return [];
  const message = `is being written by ${anonymous ? 'another program' : writer}`;
  return [finding('file-being-written', message, { structure: 'file' })];
}
