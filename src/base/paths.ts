import { builtinModule } from './builtin-module.js';

/** Whether a path is that of something inside a folder. Both are taken as they are: links are not followed. */
export function isInside(path: string, folder: string): boolean {
  const paths = builtinModule('path');
  if (paths === undefined) return false;
  const way = paths.relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith(`..${paths.sep}`) && !paths.isAbsolute(way);
}
