import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { vhdx } from '../support/command.js';
import { needs, tempDir, tool } from '../support/tools.js';

const python = tool('pyvhdi');
const fish = tool('fish');

/**
 * Types a line into a shell on a terminal, presses Tab and then Enter, and prints the words that `vhdx`, a function that
 * shows them, was called with.
 */
const TYPE_AND_TAB = `
import os, pty, select, sys, time
folder, shell, begin, *lines = sys.argv[1:]
pid, terminal = pty.fork()
if pid == 0:
  os.chdir(folder)
  os.environ.update(HOME=folder, TERM='dumb', ZDOTDIR=folder)
  os.execvp(shell, [shell, *(['--norc', '--noprofile'] if shell.endswith('bash') else ['-f']), '-i'])
seen = b''
def wait(quiet, until=None, limit=20):
  global seen
  end = time.time() + limit
  while time.time() < end:
    if until and until in seen: return
    ready, _, _ = select.select([terminal], [], [], quiet)
    if ready: seen += os.read(terminal, 65536)
    elif not until: return
wait(0.5)
os.write(terminal, (begin + "; vhdx() { printf '<%s>' \\"$@\\"; echo END; }; echo RE''ADY\\n").encode())
wait(0.1, b'READY\\r')
for line in lines:
  wait(0.3); seen = b''
  os.write(terminal, line.encode() + b'\\t')
  wait(0.6)
  seen = b''
  os.write(terminal, b'\\n')
  wait(0.1, b'>END')
  print(seen.decode().split('>END')[0].split('<', 1)[-1])
`;

/** What is typed, and what the shell must make of it. */
const LINES = [
  ['vhdx conv', 'convert'],
  ['vhdx convert -O ra', 'convert><-O><raw'],
  ['vhdx check --repo', 'check><--report'],
  ['vhdx check -r al', 'check><-r><all'],
  ['vhdx info unus', 'info><unusual-name.vhdx'],
  ['vhdx check --report unus', 'check><--report><unusual-name.vhdx'],
  ['vhdx complete fi', 'complete><fish'],
] as const;

describe('vhdx complete', () => {
  for (const [name, begin] of [
    ['bash', ''],
    ['zsh', 'autoload -U compinit && compinit -u -D && '],
  ] as const) {
    const shell = tool(name);
    needs(python, shell).test(`makes ${name} complete commands, options, their words, and files`, async () => {
      const folder = await tempDir();
      const script = join(folder, 'script');
      const { stdout, status, stderr } = await vhdx('complete', name);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      await writeFile(script, stdout);
      await writeFile(join(folder, 'unusual-name.vhdx'), '');
      const words = [folder, shell.path ?? '', `${begin}source '${script}'`, ...LINES.map(([line]) => line)];
      const typed = await python.run(['-c', TYPE_AND_TAB, ...words]);
      expect(typed).toMatchObject({ status: 0, stderr: '' });
      expect(typed.stdout.trimEnd().split('\n')).toEqual(LINES.map(([, called]) => called));
    });
  }

  needs(fish).test('makes fish complete commands, options, their words, and files', async () => {
    const folder = await tempDir();
    const script = join(folder, 'vhdx.fish');
    await writeFile(script, (await vhdx('complete', 'fish')).stdout);
    await writeFile(join(folder, 'unusual-name.vhdx'), '');
    for (const [line, called] of LINES) {
      const ask = `source ${script}; cd ${folder}; complete -C '${line}'`;
      const { stdout, stderr } = await fish.run(['--no-config', '-c', ask]);
      const [first] = stdout.split('\n').map((one) => one.split('\t')[0]);
      expect({ line, first, stderr }).toEqual({ line, first: called.split('><').at(-1), stderr: '' });
    }
  });

  test('knows no other shell, and says which it knows', async () => {
    const { status, stderr } = await vhdx('complete', 'csh');
    expect(status).toBe(1);
    expect(stderr).toMatch(/Allowed choices are bash, zsh, fish/);
  });
});
