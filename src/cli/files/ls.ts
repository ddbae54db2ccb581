import type { Command } from 'commander';
import type { VhdxError } from '../../index.js';
import { jsonHead } from '../../report/dialect.js';
import { type FileStat, type FileSystem, isAboutOneFile, walkFiles } from '../../volumes/index.js';
import { complain, Failure } from '../failure.js';
import { type ImageFlags, outputOption } from '../image-options.js';
import { writeJson } from '../json.js';
import { BufferedOutput } from '../standard-output.js';
import { printable } from '../terminal.js';
import { addVolumeOptions, withFileSystem } from './volume.js';

interface Flags extends ImageFlags {
  readonly long?: true;
  readonly recursive?: true;
  readonly output: 'human' | 'json';
}

const EXAMPLES = `
Reads ext2, ext3 and ext4, as WSL, Docker and most Linux guests have them; nothing is written. The journal of a file
system that was not unmounted is replayed in memory.
Exit codes: 0, and 1 if there is no such file, or something cannot be read: the rest is listed.

  vhdx ls ext4.vhdx /home
  vhdx ls -lR --partition 2 disk.vhdx /etc`;

/** Defines `vhdx ls`. */
export function define(command: Command): void {
  command
    .description('Lists the files in an image.')
    .argument('<file>', 'image')
    .argument('[path]', 'directory or file in it', '/')
    .option('-l, --long', 'with permissions, owner, size and time')
    .option('-R, --recursive', 'with everything below')
    .addOption(outputOption());
  addVolumeOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((file: string, path: string, flags: Flags) =>
      withFileSystem(file, flags, (fs) =>
        flags.output === 'json' ? listJson(fs, file, path, flags) : list(fs, file, path, flags),
      ),
    );
}

/** A file, and its path under the one that was asked for. */
interface Listed {
  readonly path: string;
  readonly stat: FileStat;
  readonly target?: string;
}

async function list(fs: FileSystem, file: string, path: string, { long, recursive }: Flags): Promise<void> {
  const output = new BufferedOutput();
  for await (const found of walk(fs, path, file, recursive === true, long === true)) {
    const line = long && found.stat ? longLine(found as Listed) : printable(found.path);
    if (!output.add(`${line}\n`)) await output.send();
  }
  await output.end();
}

async function listJson(fs: FileSystem, file: string, path: string, { recursive }: Flags): Promise<void> {
  const entries: object[] = [];
  for await (const { path: name, stat, target } of walk(fs, path, file, recursive === true, true)) {
    const { modified, accessed, changed, created, mode, ...rest } = stat as FileStat;
    const times = { modified, accessed, changed, ...(created && { created }) };
    entries.push({
      path: name,
      ...rest,
      mode: mode.toString(8).padStart(4, '0'),
      ...times,
      ...(target !== undefined && { target }),
    });
  }
  await writeJson({
    ...jsonHead(),
    filename: file,
    'file-system': { name: fs.kind, ...(fs.label && { label: fs.label }) },
    path,
    entries,
  });
}

/** What is under a path, or the file that it is; the names of a directory in their order. */
async function* walk(
  fs: FileSystem,
  path: string,
  file: string,
  recursive: boolean,
  withStat: boolean,
): AsyncGenerator<Partial<Listed> & { path: string }> {
  const top = await fs.stat(path);
  if (top.kind !== 'directory' && top.kind !== 'symlink') {
    yield { path, stat: top };
    return;
  }
  const onDamage = (names: readonly string[], { reason }: VhdxError) => {
    complain(new Failure(`${[path.replace(/\/$/, ''), ...names].join('/')}: ${reason}`, { file }));
    process.exitCode = 1;
  };
  for await (const { names, entry, kind, isLeft } of walkFiles(fs, path, {
    sorted: true,
    flat: !recursive,
    onDamage,
  })) {
    if (isLeft) continue;
    try {
      const stat = withStat ? await fs.stat(entry) : undefined;
      const target = withStat && kind === 'symlink' ? await fs.readlink(entry) : undefined;
      yield { path: names.join('/'), ...(stat && { stat }), ...(target !== undefined && { target }) };
    } catch (error) {
      if (!isAboutOneFile(error)) throw error;
      onDamage(names, error);
    }
  }
}

const LETTERS: Readonly<Record<string, string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  'character device': 'c',
  'block device': 'b',
  pipe: 'p',
  socket: 's',
};

function longLine({ path, stat, target }: Listed): string {
  const { kind, mode, links, uid, gid, size, modified } = stat;
  const letters = [...'rwxrwxrwx'].map((letter, i) => (mode & (0o400 >> i) ? letter : '-')).join('');
  const time = modified.toISOString().slice(0, 16).replace('T', ' ');
  const cells = [
    `${LETTERS[kind] ?? '?'}${letters}`,
    `${links}`.padStart(3),
    `${uid}`.padStart(5),
    `${gid}`.padStart(5),
    `${size}`.padStart(12),
    time,
  ];
  return printable(`${cells.join(' ')} ${path}${target === undefined ? '' : ` -> ${target}`}`);
}
