import { builtinModule } from '../base/builtin-module.js';
import { call } from './descriptor-file.js';

interface Stats {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
}

/**
 * What changes if the file of a path is written to or replaced: its device, number, length and modification time.
 * Undefined if there is none, or no file system.
 */
export async function fileStamp(path: string): Promise<string | undefined> {
  const fs = builtinModule('fs');
  if (fs === undefined) return undefined;
  const stats = await call<Stats>((done) => fs.stat(path, { bigint: true }, done)).catch(() => undefined);
  return stats && `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeNs}`;
}
