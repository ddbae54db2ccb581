import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { lstat, unlink } from 'node:fs/promises';
import { createServer, type Server, Socket } from 'node:net';
import { resolve } from 'node:path';
import { createSecureContext, createServer as createTlsServer } from 'node:tls';
import type { RandomAccessSource } from '../io/random-access.js';
import type { NbdExport } from './export.js';
import { Ended, Incoming } from './incoming.js';
import { negotiate, type Peer, ProtocolError } from './negotiation.js';
import { Transmission } from './transmission.js';

/** TLS of a server, in PEM. Clients that do not ask for it get nothing but the answer that they must. */
export interface NbdTls {
  readonly cert: string | Uint8Array;
  readonly key: string | Uint8Array;
  /** Authorities: a client must have a certificate of one of them. */
  readonly ca?: string | Uint8Array | undefined;
}

/** Where and how disks are served. */
export interface NbdServerOptions {
  /** Path of a Unix socket to make; it is removed at the end. */
  readonly socket?: string | undefined;
  /** TCP port, if there is no socket; 10809 if it is not given, and any free one for 0. */
  readonly port?: number | undefined;
  /** Address to listen on; 127.0.0.1 if it is not given, which other machines do not reach. */
  readonly host?: string | undefined;
  readonly tls?: NbdTls | undefined;
  /** Clients at a time; 16 if it is not given. Each may hold 20 MiB of memory, or 48 if its requests are as long as they may be. */
  readonly maxConnections?: number | undefined;
  /** Called with a sentence about a connection that did not end well. */
  readonly onProblem?: ((problem: string) => void) | undefined;
}

/** Disks that are being served. */
export interface NbdServer {
  /** The port, if there is one. */
  readonly port: number | undefined;
  /** The NBD URI of an export; of the first one if no name is given. */
  uri(name?: string): string;
  /** Clients at the moment. */
  readonly connections: number;
  /** Takes no more clients and no more requests; resolves when those that were begun are answered. The disks stay open. */
  close(): Promise<void>;
}

/** Milliseconds that a client has to choose an export. */
const NEGOTIATION_TIME = 30_000;
/** Milliseconds that a client has, after the server was closed, to take its last replies. */
const FAREWELL = 5000;
/** The port that NBD has. */
const NBD_PORT = 10_809;

/**
 * Serves disks over NBD to other programs on this machine, or to whom the options let in. Who may connect may read, and
 * write if a disk can be written (`editVhdx`) and is not served as `readOnly`. A flush, or a write with FUA, is answered when
 * the disk has made it durable.
 *
 * @param disks a disk, or several with names
 * @throws RangeError if two exports have one name, there is none, or a certificate is none; the system's error
 *   (`EADDRINUSE`, `EACCES`) if the server cannot listen there
 */
export async function serveNbd(
  disks: RandomAccessSource | readonly NbdExport[],
  options: NbdServerOptions = {},
): Promise<NbdServer> {
  const exports = isList(disks) ? disks : [{ name: '', disk: disks }];
  const names = new Set(exports.map(({ name }) => name));
  if (exports.length === 0) throw new RangeError('there is no disk to serve');
  if (names.size < exports.length) throw new RangeError('two exports have the same name');
  const { maxConnections = 16, tls } = options;
  if (!Number.isSafeInteger(maxConnections) || maxConnections < 1)
    throw new RangeError(`maxConnections must be 1 or more, not ${maxConnections}`);
  if (tls) checkTls(tls);
  const server = new Service(exports, options);
  await server.listen(maxConnections);
  return server;
}

const isList = (disks: RandomAccessSource | readonly NbdExport[]): disks is readonly NbdExport[] =>
  Array.isArray(disks);

const pem = (text: string | Uint8Array): Buffer => Buffer.from(text as string);

/** Says now what is wrong, and not to each client; some runtimes take what is no certificate without a word. */
function checkTls(tls: NbdTls): void {
  const { cert, key, ca } = pemOf(tls);
  try {
    for (const certificate of ca ? [cert, ca] : [cert]) new X509Certificate(certificate);
    createPrivateKey(key);
    createSecureContext({ cert, key, ...(ca && { ca }) });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RangeError(`the certificate or its key cannot be used: ${reason}`, { cause });
  }
}

/** As Node takes them. */
const pemOf = ({ cert, key, ca }: NbdTls) => ({
  cert: pem(cert),
  key: pem(key),
  ...(ca !== undefined && { ca: pem(ca) }),
});

class Service implements NbdServer {
  readonly #exports: readonly NbdExport[];
  readonly #options: NbdServerOptions;
  readonly #server: Server;
  /** What ends each connection. */
  readonly #connections = new Map<Promise<void>, () => void>();
  #closing: Promise<void> | undefined;

  constructor(exports: readonly NbdExport[], options: NbdServerOptions) {
    this.#exports = exports;
    this.#options = options;
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === 'object' ? address?.port : undefined;
  }

  get connections(): number {
    return this.#connections.size;
  }

  uri(name = this.#exports[0]?.name ?? ''): string {
    const { socket, host = '127.0.0.1', tls } = this.#options;
    const scheme = tls ? 'nbds' : 'nbd';
    const path = encodeURIComponent(name);
    if (socket !== undefined) return `${scheme}+unix:///${path}?socket=${encodeURIComponent(resolve(socket))}`;
    return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${this.port}/${path}`;
  }

  async listen(maxConnections: number): Promise<void> {
    const { socket, port = NBD_PORT, host = '127.0.0.1' } = this.#options;
    this.#server.maxConnections = maxConnections;
    if (socket === undefined) this.#server.listen({ port, host });
    else {
      await removeDead(socket);
      this.#server.listen({ path: socket });
    }
    await once(this.#server, 'listening'); // rejects with what went wrong instead
    this.#server.on('drop', () => this.#problem(`one client too many: there are ${maxConnections}`));
    this.#server.on('error', (error) => this.#problem(error.message)); // of one connection that could not be taken
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const end of this.#connections.values()) end();
    await Promise.all([...this.#connections.keys(), closed]);
  }

  #problem(sentence: string): void {
    this.#options.onProblem?.(sentence);
  }

  #accept(socket: Socket): void {
    const connection = new Connection(socket, this.#options.tls);
    const from = socket.remoteAddress === undefined ? 'a client' : `${socket.remoteAddress}:${socket.remotePort}`;
    const running: Promise<void> = connection
      .serve(this.#exports, () => this.#closing !== undefined)
      .catch((error: unknown) => {
        if (!(error instanceof Ended))
          this.#problem(`${from}: ${error instanceof Error ? error.message : String(error)}`);
      })
      .then(() => connection.end())
      .finally(() => this.#connections.delete(running));
    this.#connections.set(running, () => connection.close());
  }
}

/** A client, from its first byte to its last. */
class Connection {
  #socket: Socket;
  #incoming: Incoming;
  #transmission: Transmission | undefined;
  /** What TLS is being agreed on over. */
  #securing: Socket | undefined;
  readonly #tls: NbdTls | undefined;

  constructor(socket: Socket, tls: NbdTls | undefined) {
    this.#socket = socket;
    this.#incoming = new Incoming(socket);
    this.#tls = tls;
    socket.on('error', () => {}); // the reader sees that the connection has ended
  }

  async serve(exports: readonly NbdExport[], isClosing: () => boolean): Promise<void> {
    const slow = setTimeout(() => this.close(), NEGOTIATION_TIME);
    const tls = this.#tls;
    const startTls = tls && (() => this.#startTls(tls));
    const peer = { incoming: this.#incoming, send: (bytes: Uint8Array) => void this.#socket.write(bytes) };
    const negotiator = { exports, tlsRequired: startTls !== undefined, isClosing, startTls };
    const agreement = await negotiate(peer, negotiator).finally(() => clearTimeout(slow));
    if (!agreement) return;
    this.#transmission = new Transmission(this.#socket, this.#incoming, agreement);
    if (isClosing()) return;
    await this.#transmission.serve();
  }

  /** Answers what was begun, and takes nothing more. */
  close(): void {
    if (this.#transmission) this.#transmission.close();
    else this.#incoming.stop();
    this.#securing?.destroy();
  }

  /** Sends what is left and ends the connection, also if the client does not take it. */
  async end(): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed) return;
    const closed = once(socket, 'close');
    socket.end(() => socket.destroy());
    const timer = setTimeout(() => socket.destroy(), FAREWELL);
    socket.resume(); // what is not read would keep the end from being seen
    await closed.catch(() => undefined);
    clearTimeout(timer);
  }

  async #startTls(tls: NbdTls): Promise<Peer> {
    this.#incoming.detach();
    const mustShow = tls.ca !== undefined;
    // It listens nowhere: what it is for is one connection that began without it.
    const server = createTlsServer({ ...pemOf(tls), requestCert: mustShow, rejectUnauthorized: mustShow });
    const fail = (reason: string): never => {
      throw new ProtocolError(`no TLS${mustShow ? ', or no certificate of the authority' : ''}: ${reason}`);
    };
    const raw = this.#socket;
    const refused = once(server, 'tlsClientError').then(([error]) => fail(error instanceof Error ? error.message : ''));
    const ended = once(raw, 'close').then(() => fail('the connection has ended'));
    const secured: Promise<Socket[]> = once(server, 'secureConnection');
    this.#securing = raw;
    server.emit('connection', raw);
    const [socket] = await Promise.race([secured, refused, ended]);
    this.#securing = undefined;
    if (!socket || socket.destroyed) throw new Ended('the connection has ended');
    socket.on('error', () => {});
    this.#socket = socket;
    this.#incoming = new Incoming(socket);
    return { incoming: this.#incoming, send: (bytes) => void socket.write(bytes) };
  }
}

/** Removes a socket that no server listens on any more; one that a server has, or another file, stays and is in the way. */
async function removeDead(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined);
  if (!stats?.isSocket()) return;
  const probe = new Socket().connect(path);
  const answer = await once(probe, 'connect').then(
    () => 'alive',
    (error: NodeJS.ErrnoException) => error.code,
  );
  probe.destroy();
  if (answer === 'ECONNREFUSED') await unlink(path);
}
