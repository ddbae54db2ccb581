import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { basename, dirname } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { RandomAccessSource } from '../index.js';
import { type NbdExport, type NbdServer, type NbdServerOptions, type NbdTls, serveNbd } from '../nbd/index.js';
import { jsonHead } from '../report/dialect.js';
import { about, complain, Failure, interruptible, isSystemError, systemReason } from './failure.js';
import { addImageOptions, type ImageFlags, outputOption, withAnyDisk } from './image-options.js';
import { writeJson } from './json.js';
import { writeOut } from './standard-output.js';
import { withWritableDisk } from './writable-image.js';

interface Flags extends ImageFlags {
  readonly socket?: string;
  readonly port?: number;
  readonly listen?: string;
  readonly writable?: true;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
  readonly output: 'human' | 'json';
}

const ADDITION = `
Other programs on this machine, and those of all its users for a port, can read the disks until this command gets
SIGINT (Ctrl-C), SIGTERM or SIGHUP: then it answers what was asked, and leaves images that were written clean. Each disk
is an export by the name of its file, and the first one also by the name ''. A dirty image that is only read is replayed
in memory. What a client writes is durable when it asks for a flush, as every file system does.
Exit codes: 0 after a signal, and 1 if an image does not open or nothing can listen there.

  vhdx serve disk.vhdx
  vhdx serve --socket nbd.sock --writable disk.vhdx
  nbdinfo nbd://127.0.0.1
  qemu-img convert -O qcow2 nbd://127.0.0.1 disk.qcow2`;

/** Defines `vhdx serve`. */
export function define(command: Command): void {
  command
    .description('Serves disks to other programs over NBD.')
    .argument('<file...>', 'images')
    .option('--socket <path>', 'listen on a Unix socket, which is made')
    .option('--port <number>', 'listen on a TCP port; 10809 is that of NBD, and 0 takes a free one', parsePort)
    .option('--listen <address>', 'listen on this address of the machine instead of 127.0.0.1: who reaches it gets in')
    .option('--writable', 'let clients write to the disks, which must be VHDX')
    .option('--tls-cert <file>', 'serve by TLS alone, with this certificate (PEM)')
    .option('--tls-key <file>', 'its key (PEM)')
    .option('--tls-ca <file>', 'let in only clients that have a certificate of this authority (PEM)')
    .addOption(outputOption());
  addImageOptions(command, { formats: ['vhdx', 'raw', 'vpc'], partition: true })
    .addHelpText('after', ADDITION)
    .action(serve);
}

function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('It is not a number from 0 to 65535.');
  return port;
}

async function serve(files: readonly string[], flags: Flags): Promise<void> {
  const options = await serverOptions(flags);
  const names = files.map((file) => basename(file));
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new Failure('two images have this name, and exports need different ones', { file: twice });
  await withDisks(files, flags, [], async (disks, signal) => {
    const exports = disks.map((disk, i) => ({ name: names[i] ?? '', disk }));
    const server = await listen(exports, flags, options);
    try {
      await announce(server, files, exports, flags);
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    } finally {
      await server.close();
    }
  });
}

async function serverOptions({ socket, port, listen: host, ...flags }: Flags): Promise<NbdServerOptions> {
  const { tlsCert, tlsKey, tlsCa, quiet } = flags;
  if (socket !== undefined && (port !== undefined || host !== undefined))
    throw new Failure('--socket goes with neither --port nor --listen');
  if (socket !== undefined) await about(socket, () => stat(dirname(socket))); // of which listening says that it may not
  if ((tlsCert === undefined) !== (tlsKey === undefined)) throw new Failure('--tls-cert and --tls-key go together');
  if (tlsCa !== undefined && tlsCert === undefined) throw new Failure('--tls-ca needs --tls-cert and --tls-key');
  if (host !== undefined && isIP(host) === 0) throw new Failure(`--listen takes an IP address, such as 0.0.0.0`);
  const [cert, key, ca] = await Promise.all(
    [tlsCert, tlsKey, tlsCa].map((file) => file && about(file, () => readFile(file))),
  );
  const tls: NbdTls | undefined = cert && key ? { cert, key, ...(ca && { ca }) } : undefined;
  if (host !== undefined && !quiet && !isLoopback(host)) warnOfListening(host, flags);
  const onProblem = (problem: string) => {
    if (!quiet) complain(new Failure(`warning: ${problem}`));
  };
  return { socket, port, host, tls, onProblem };
}

const isLoopback = (host: string): boolean => /^(127\.|::1$)/.test(host);

function warnOfListening(host: string, { writable, tlsCert, tlsCa }: Omit<Flags, 'port'>): void {
  const may = writable ? 'read and change' : 'read';
  const who = tlsCa === undefined ? 'everybody who reaches it' : 'everybody who has a certificate of the authority';
  const seen = tlsCert === undefined ? ', and everybody on the way sees it' : '';
  complain(new Failure(`warning: listens on ${host}: ${who} can ${may} the disks${seen}`));
}

/** Opens one disk after the other, does something with all of them, and closes them, the last one first. */
function withDisks(
  files: readonly string[],
  flags: Flags,
  opened: readonly RandomAccessSource[],
  work: (disks: readonly RandomAccessSource[], signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const [file, ...others] = files;
  if (file === undefined) return interruptible((signal) => work(opened, signal));
  const next = (disk: RandomAccessSource) => withDisks(others, flags, [...opened, disk], work);
  if (!flags.writable) return withAnyDisk(file, flags, ({ source }) => next(source));
  if (flags.format !== undefined && flags.format !== 'vhdx') throw new Failure('--writable is for VHDX', { file });
  if (flags.partition !== undefined) throw new Failure('--writable is for whole disks', { file });
  return withWritableDisk(file, flags, next);
}

async function listen(exports: NbdExport[], flags: Flags, options: NbdServerOptions): Promise<NbdServer> {
  try {
    return await serveNbd(exports, options);
  } catch (error) {
    if (error instanceof RangeError) throw new Failure(error.message, { cause: error });
    if (!isSystemError(error)) throw error;
    const inUse = error.code === 'EADDRINUSE';
    if (flags.socket !== undefined) {
      const reason = inUse ? 'another program listens there, or it is no socket' : systemReason(error);
      throw new Failure(reason, { file: flags.socket, cause: error });
    }
    const place = `${flags.listen ?? '127.0.0.1'}, port ${flags.port ?? 10_809}`;
    const reason = inUse ? 'another program listens there; --port takes another one' : systemReason(error);
    throw new Failure(`${place}: ${reason}`, { cause: error });
  }
}

/** Says where the disks are, when clients can connect. */
async function announce(
  server: NbdServer,
  files: readonly string[],
  exports: NbdExport[],
  flags: Flags,
): Promise<void> {
  const lines = exports.map(({ name, disk }, i) => ({
    name,
    uri: server.uri(i === 0 ? '' : name),
    filename: files[i] ?? name,
    'virtual-size': disk.size,
    writable: flags.writable === true,
  }));
  if (flags.output === 'json') await writeJson({ ...jsonHead(), exports: lines });
  else
    await writeOut(
      lines.map(({ uri, filename, writable }) => `${uri}  ${filename}${writable ? ', writable' : ''}\n`).join(''),
    );
}
