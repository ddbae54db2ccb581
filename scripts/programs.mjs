// @ts-check
import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * The programs that tests and engine runs talk to: the Debian package that holds each, the file names it goes by
 * (absolute ones are places besides PATH), an argument list that it must accept to count as there, and whether it is a
 * file that cannot be executed.
 *
 * @type {Record<string, { package: string, names: string[], probe?: string[], isFile?: boolean }>}
 */
const programs = {
  chromium: {
    package: 'chromium',
    names: [
      'chromium',
      'chromium-browser',
      'google-chrome-stable',
      'google-chrome',
      '/Applications/Chromium.app/Contents/MacOS/Chromium',
      '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    ],
  },
  'qemu-img': { package: 'qemu-utils', names: ['qemu-img'] },
  'qemu-nbd': { package: 'qemu-utils', names: ['qemu-nbd'] },
  'qemu-io': { package: 'qemu-utils', names: ['qemu-io'] },
  '7zz': { package: '7zip', names: ['7zz'] },
  vhdiinfo: { package: 'libvhdi-utils', names: ['vhdiinfo'] },
  // Not a program but a module: the program is the Python that can import it, which need not be the first in PATH.
  pyvhdi: { package: 'python3-libvhdi', names: ['/usr/bin/python3', 'python3'], probe: ['-c', 'import pyvhdi'] },
  'mkfs.ext4': { package: 'e2fsprogs', names: ['mkfs.ext4', '/usr/sbin/mkfs.ext4'] },
  e2fsck: { package: 'e2fsprogs', names: ['e2fsck', '/usr/sbin/e2fsck'] },
  debugfs: { package: 'e2fsprogs', names: ['debugfs', '/usr/sbin/debugfs'] },
  // What says what a volume is, and what makes some of each kind.
  blkid: { package: 'util-linux', names: ['blkid', '/usr/sbin/blkid'] },
  mkswap: { package: 'util-linux', names: ['mkswap', '/usr/sbin/mkswap'] },
  'mkfs.vfat': { package: 'dosfstools', names: ['mkfs.vfat', '/usr/sbin/mkfs.vfat'] },
  'mkfs.exfat': { package: 'exfatprogs', names: ['mkfs.exfat', '/usr/sbin/mkfs.exfat'] },
  'mkfs.ntfs': { package: 'ntfs-3g', names: ['mkfs.ntfs', '/usr/sbin/mkfs.ntfs'] },
  'mkfs.xfs': { package: 'xfsprogs', names: ['mkfs.xfs', '/usr/sbin/mkfs.xfs'] },
  'mkfs.btrfs': { package: 'btrfs-progs', names: ['mkfs.btrfs', '/usr/bin/mkfs.btrfs', '/usr/sbin/mkfs.btrfs'] },
  cryptsetup: { package: 'cryptsetup-bin', names: ['cryptsetup', '/usr/sbin/cryptsetup'] },
  mksquashfs: { package: 'squashfs-tools', names: ['mksquashfs'] },
  xorriso: { package: 'xorriso', names: ['xorriso'] },
  sgdisk: { package: 'gdisk', names: ['sgdisk', '/usr/sbin/sgdisk'] },
  fls: { package: 'sleuthkit', names: ['fls'] },
  icat: { package: 'sleuthkit', names: ['icat'] },
  // Files and no programs: the firmware that an emulated PC starts with.
  seabios: { package: 'seabios', names: ['/usr/share/seabios/bios.bin'], isFile: true },
  // The shells that there is completion for, and what typesets a manual page.
  bash: { package: 'bash', names: ['bash'] },
  zsh: { package: 'zsh', names: ['zsh'] },
  fish: { package: 'fish', names: ['fish'] },
  groff: { package: 'groff', names: ['groff'], probe: ['-m', 'an', '-T', 'utf8', '/dev/null'] },
  flock: { package: 'util-linux', names: ['flock'] },
  bunzip2: { package: 'bzip2', names: ['bunzip2'] },
  // Clients of an NBD server, and what makes certificates for one.
  nbdinfo: { package: 'libnbd-bin', names: ['nbdinfo'] },
  nbdcopy: { package: 'libnbd-bin', names: ['nbdcopy'] },
  nbdfuse: { package: 'libnbd-bin', names: ['nbdfuse'] },
  fusermount3: { package: 'fuse3', names: ['fusermount3'] },
  nbdkit: { package: 'nbdkit', names: ['nbdkit'] },
  openssl: { package: 'openssl', names: ['openssl'] },
  // Batch engines, which run the work of a fleet in parts.
  munged: { package: 'munge', names: ['munged', '/usr/sbin/munged'] },
  slurmctld: { package: 'slurm-wlm', names: ['slurmctld', '/usr/sbin/slurmctld'] },
  slurmd: { package: 'slurm-wlm', names: ['slurmd', '/usr/sbin/slurmd'] },
  sbatch: { package: 'slurm-wlm', names: ['sbatch'] },
  srun: { package: 'slurm-wlm', names: ['srun'] },
  scontrol: { package: 'slurm-wlm', names: ['scontrol'] },
  sinfo: { package: 'slurm-wlm', names: ['sinfo'] },
  'redis-server': { package: 'redis-server', names: ['redis-server'] },
  parallel: { package: 'parallel', names: ['parallel'] },
  // What AWS calls valid: the Python that can import its models.
  botocore: { package: 'python3-botocore', names: ['/usr/bin/python3', 'python3'], probe: ['-c', 'import botocore'] },
  firefox: {
    package: 'firefox-esr',
    names: ['firefox-esr', 'firefox', '/Applications/Firefox.app/Contents/MacOS/firefox'],
  },
  // Not in PATH: a library's example browser. Which folder depends on the machine.
  MiniBrowser: {
    package: 'libwebkit2gtk-4.1-0',
    names: ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/webkit2gtk-4.1/MiniBrowser`),
  },
  'xvfb-run': { package: 'xvfb', names: ['xvfb-run'] },
  xauth: { package: 'xauth', names: ['xauth'] },
};

/** The programs that `npm test` talks to; what is left of the table is for `npm run test:engines`. */
export const testPrograms = [
  'chromium',
  'qemu-img',
  'qemu-io',
  '7zz',
  'vhdiinfo',
  'pyvhdi',
  'bunzip2',
  'bash',
  'zsh',
  'fish',
  'groff',
  'flock',
  'mkfs.ext4',
  'e2fsck',
  'debugfs',
  'blkid',
  'mkswap',
  'mkfs.vfat',
  'mkfs.exfat',
  'mkfs.ntfs',
  'mkfs.xfs',
  'mkfs.btrfs',
  'cryptsetup',
  'mksquashfs',
  'xorriso',
  'sgdisk',
  'fls',
  'icat',
  'seabios',
  'nbdinfo',
  'nbdcopy',
  'nbdfuse',
  'fusermount3',
  'nbdkit',
  'openssl',
  'munged',
  'slurmctld',
  'slurmd',
  'sbatch',
  'srun',
  'scontrol',
  'sinfo',
  'redis-server',
  'parallel',
  'botocore',
];

/** @param {string} name */
const entry = (name) => {
  const program = programs[name];
  if (program === undefined) throw new Error(`scripts/programs.mjs does not list ${name}`);
  return program;
};

/** @param {string} path @param {number} access */
const isThere = (path, access) => {
  try {
    accessSync(path, access);
    return statSync(path).isFile();
  } catch {
    return false;
  }
};

/**
 * The Debian package that a program comes in.
 *
 * @param {string} name
 */
export const packageOf = (name) => entry(name).package;

/**
 * Where a program is, as an absolute path; `undefined` where it is not installed.
 *
 * @param {string} name one of the table's
 * @returns {string | undefined}
 */
export function findProgram(name) {
  const { names, probe, isFile } = entry(name);
  const access = isFile ? constants.R_OK : constants.X_OK;
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin', '/opt/homebrew/bin'];
  return names
    .flatMap((file) => (file.startsWith('/') ? [file] : folders.map((folder) => join(folder, file))))
    .find((path) => isThere(path, access) && (probe === undefined || spawnSync(path, probe).status === 0));
}
