// A client of the NBD protocol that does what a spec says, right or wrong: written from the protocol's own text, with
// none of the server's code.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A reply to an option. */
export interface OptionReply {
  readonly type: number;
  readonly data: Buffer;
}

/** A simple reply, or all chunks of a structured one. */
export interface CommandReply {
  readonly cookie: bigint;
  readonly error: number;
  readonly data: Buffer;
  readonly chunks: readonly { readonly type: number; readonly payload: Buffer }[];
}

/** An option, as the client sends it. */
export function optionBytes(option: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(16);
  head.write('IHAVEOPT', 'latin1');
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(data.length, 12);
  return Buffer.concat([head, data]);
}

/** A request, as the client sends it. */
export function requestBytes(
  type: number,
  {
    flags = 0,
    cookie = 1n,
    offset = 0,
    length = 0,
  }: { flags?: number; cookie?: bigint; offset?: number; length?: number },
): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32BE(0x25609513, 0);
  bytes.writeUInt16BE(flags, 4);
  bytes.writeUInt16BE(type, 6);
  bytes.writeBigUInt64BE(cookie, 8);
  bytes.writeBigUInt64BE(BigInt(offset), 16);
  bytes.writeUInt32BE(length, 24);
  return bytes;
}

/** The data of the options INFO and GO. */
export function infoData(name: string, ...asked: number[]): Buffer {
  const data = Buffer.alloc(6 + Buffer.byteLength(name) + 2 * asked.length);
  data.writeUInt32BE(Buffer.byteLength(name), 0);
  data.write(name, 4);
  data.writeUInt16BE(asked.length, 4 + Buffer.byteLength(name));
  for (const [i, info] of asked.entries()) data.writeUInt16BE(info, 6 + Buffer.byteLength(name) + 2 * i);
  return data;
}

/** The data of the options that are about metadata contexts. */
export function contextData(name: string, ...queries: string[]): Buffer {
  const text = (value: string) => {
    const bytes = Buffer.alloc(4 + Buffer.byteLength(value));
    bytes.writeUInt32BE(Buffer.byteLength(value));
    bytes.write(value, 4);
    return bytes;
  };
  const count = Buffer.alloc(4);
  count.writeUInt32BE(queries.length);
  return Buffer.concat([text(name), count, ...queries.map(text)]);
}

/** A connection; it is closed when the running spec has ended. */
export class NbdClient {
  readonly socket: Socket;
  #kept = Buffer.alloc(0);
  #over = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket.setNoDelay();
    socket.on('data', (chunk: Buffer) => {
      this.#kept = Buffer.concat([this.#kept, chunk]);
      this.#wake();
    });
    socket.on('close', () => {
      this.#over = true;
      this.#wake();
    });
    socket.on('error', () => {});
    onTestFinished(() => void socket.destroy());
  }

  /** Connects and takes the greeting; answers it with the client's flags, fixed newstyle and no zeroes. */
  static async connect(where: { port: number } | { path: string }, flags = 3): Promise<NbdClient> {
    const socket = connect('port' in where ? { port: where.port, host: '127.0.0.1' } : { path: where.path });
    await once(socket, 'connect');
    const client = new NbdClient(socket);
    const greeting = await client.take(18);
    if (greeting.toString('latin1') !== 'NBDMAGICIHAVEOPT\0\u0003') throw new Error(`greeted with ${greeting}`);
    const reply = Buffer.alloc(4);
    reply.writeUInt32BE(flags);
    client.send(reply);
    return client;
  }

  send(...parts: Uint8Array[]): void {
    this.socket.write(Buffer.concat(parts));
  }

  /** The next bytes; rejects if the connection ends before them. */
  async take(length: number): Promise<Buffer> {
    while (this.#kept.length < length) {
      if (this.#over) throw new Error(`the connection has ended with ${this.#kept.length} bytes of ${length}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const bytes = this.#kept.subarray(0, length);
    this.#kept = this.#kept.subarray(length);
    return bytes;
  }

  /** Resolves when the server has ended the connection, with what it sent before. */
  async ended(): Promise<Buffer> {
    while (!this.#over)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    return this.#kept;
  }

  /** Sends an option and takes its replies, up to the last one. */
  async option(option: number, data?: Uint8Array): Promise<OptionReply[]> {
    this.send(optionBytes(option, data));
    const replies: OptionReply[] = [];
    for (;;) {
      const head = await this.take(20);
      if (head.readBigUInt64BE(0) !== 0x3e889045565a9n) throw new Error('no reply to an option');
      if (head.readUInt32BE(8) !== option) throw new Error(`a reply to option ${head.readUInt32BE(8)}`);
      const type = head.readUInt32BE(12);
      replies.push({ type, data: await this.take(head.readUInt32BE(16)) });
      if (type === 1 || type > 0x8000_0000) return replies;
    }
  }

  /** Goes to the transmission with an export; with structured replies and `base:allocation` if they are wanted. */
  async go(name = '', { structured = false } = {}): Promise<void> {
    if (structured) {
      await this.option(8);
      await this.option(10, contextData(name, 'base:allocation'));
    }
    const last = (await this.option(7, infoData(name))).at(-1);
    if (last?.type !== 1) throw new Error(`the export was refused: ${last?.type}`);
  }

  /** Sends a request; with bytes, it is a write. */
  request(type: number, fields: Parameters<typeof requestBytes>[1], payload: Uint8Array = Buffer.alloc(0)): void {
    this.send(requestBytes(type, fields), payload);
  }

  /** Takes the next reply; a simple one has `length` bytes of data if it is no error. Chunks may belong to one request only. */
  async reply(length = 0): Promise<CommandReply> {
    const chunks: { type: number; payload: Buffer }[] = [];
    for (;;) {
      const magic = (await this.take(4)).readUInt32BE(0);
      if (magic === 0x67446698) {
        const head = await this.take(12);
        const error = head.readUInt32BE(0);
        return {
          cookie: head.readBigUInt64BE(4),
          error,
          data: error ? Buffer.alloc(0) : await this.take(length),
          chunks,
        };
      }
      if (magic !== 0x668e33ef) throw new Error(`no reply: ${magic.toString(16)}`);
      const head = await this.take(16);
      const payload = await this.take(head.readUInt32BE(12));
      const type = head.readUInt16BE(2);
      chunks.push({ type, payload });
      if ((head.readUInt16BE(0) & 1) === 0) continue;
      const failed = chunks.find((chunk) => chunk.type >= 0x8000);
      return { cookie: head.readBigUInt64BE(4), error: failed?.payload.readUInt32BE(0) ?? 0, data: payload, chunks };
    }
  }

  /** Sends a request and takes its reply. */
  async ask(type: number, fields: Parameters<typeof requestBytes>[1], payload?: Uint8Array): Promise<CommandReply> {
    this.request(type, fields, payload);
    return this.reply(type === 0 ? fields.length : 0);
  }
}
