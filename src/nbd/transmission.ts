import type { Socket } from 'node:net';
import { VhdxError } from '../errors.js';
import { blockStatus, partsIn } from './allocation.js';
import { isFastToZero, MAX_REQUEST, type WritableNbdDisk, writableOf } from './export.js';
import type { Incoming } from './incoming.js';
import type { Agreement } from './negotiation.js';
import { ProtocolError } from './negotiation.js';
import {
  ALLOCATION_ID,
  CHUNK_HEAD,
  Chunk,
  Command,
  CommandFlag,
  Errno,
  parseRequest,
  putChunk,
  putSimpleReply,
  REQUEST_HEAD,
  type Request,
  SIMPLE_HEAD,
  u16,
  u32,
  u64,
} from './protocol.js';
import { ReplyBuffers } from './reply-buffers.js';

/** Requests of a connection that are worked on at a time. */
const MAX_REQUESTS = 64;
/**
 * Bytes of a connection's requests and replies that are in memory at a time, unless one alone has more. What is read is
 * still in the processor's cache when it is sent.
 */
const MAX_BYTES = 4 * 1024 * 1024;
/** Bytes that are written at a time where zeros must have space. */
const PIECE = 1024 * 1024;
/** Shorter reads are not looked through for holes: to send the zeros costs less. */
const MIN_LOOK = 64 * 1024;

const ALL_FLAGS = Object.values(CommandFlag).reduce((all, flag) => all | flag, 0);

/** The number that a client gets for an error, and why. */
class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly errno: number;
  constructor(errno: number, message: string) {
    super(message);
    this.errno = errno;
  }
}

/** Serves the requests of one client, as many at a time as the bounds allow, and replies as they are done. */
export class Transmission {
  readonly #socket: Socket;
  readonly #incoming: Incoming;
  readonly #agreement: Agreement;
  readonly #writable: WritableNbdDisk | undefined;
  readonly #running = new Set<Promise<void>>();
  readonly #buffers = new ReplyBuffers();
  #bytes = 0;
  #wake: (() => void) | undefined;
  #closing = false;

  constructor(socket: Socket, incoming: Incoming, agreement: Agreement) {
    this.#socket = socket;
    this.#incoming = incoming;
    this.#agreement = agreement;
    this.#writable = writableOf(agreement.served);
    socket.on('drain', () => this.#wake?.());
    socket.on('close', () => this.#wake?.());
  }

  /** Ends the connection when the requests that it has are done. */
  close(): void {
    this.#closing = true;
    this.#incoming.stop();
    this.#wake?.();
  }

  /** Serves until the client or the server ends it; resolves when nothing is being worked on any more. */
  async serve(): Promise<void> {
    try {
      while (!this.#closing && (await this.#next()));
    } finally {
      await Promise.all(this.#running);
    }
  }

  /** Begins one request; false if it was the last. */
  async #next(): Promise<boolean> {
    const head = await this.#incoming.take(REQUEST_HEAD);
    const request = parseRequest(head);
    if (!request) throw new ProtocolError('no request where one has to be');
    const { type, length } = request;
    if (type === Command.disconnect) return false;
    const isWrite = type === Command.write;
    if (isWrite && length > MAX_REQUEST) {
      await this.#incoming.skip(length);
      this.#fail(request, Errno.overflow, `${length} bytes are more than ${MAX_REQUEST}, which is the most`);
      return true;
    }
    const bytes = (isWrite || type === Command.read) && length <= MAX_REQUEST ? length : 0;
    // A client that does not read its replies keeps no other client waiting.
    while (!this.#socket.destroyed && !this.#closing && this.#isFull(bytes)) await this.#room();
    this.#bytes += bytes;
    const payload = isWrite ? await this.#incoming.take(length) : undefined;
    const running: Promise<void> = this.#serve(request, payload)
      .catch((error: unknown) => this.#fail(request, ...refusalOf(error)))
      .then(() => {
        this.#running.delete(running);
        this.#bytes -= bytes;
        this.#wake?.();
      });
    this.#running.add(running);
    return true;
  }

  #isFull(bytes: number): boolean {
    const inFlight = this.#bytes + this.#socket.writableLength;
    return this.#running.size >= MAX_REQUESTS || (inFlight > 0 && inFlight + bytes > MAX_BYTES);
  }

  #room(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  async #serve(request: Request, payload: Buffer | undefined): Promise<void> {
    const { type, flags, offset, length } = request;
    const { size } = this.#agreement.served.disk;
    if (offset + length > size) {
      throw new Refusal(type === Command.write ? Errno.noSpace : Errno.invalid, 'the range leaves the disk');
    }
    if (flags & ~ALL_FLAGS) throw new Refusal(Errno.invalid, 'there is no such flag');
    switch (type) {
      case Command.read:
        return this.#read(request);
      case Command.blockStatus:
        return this.#blockStatus(request);
      case Command.cache:
        await partsIn(this.#agreement.served.disk, offset, length); // loads the part of the BAT that it needs
        return this.#succeed(request);
      case Command.flush:
        await this.#disk().flush();
        return this.#succeed(request);
      case Command.write:
        await this.#disk().write(payload as Buffer, offset);
        break;
      case Command.trim:
        await this.#disk().trim(offset, length);
        break;
      case Command.writeZeroes:
        await this.#writeZeroes(request);
        break;
      default:
        throw new Refusal(Errno.invalid, `there is no command ${type}`);
    }
    if (flags & CommandFlag.fua) await this.#disk().flush();
    this.#succeed(request);
  }

  #disk(): WritableNbdDisk {
    if (!this.#writable) throw new Refusal(Errno.notPermitted, 'the disk is served for reading');
    return this.#writable;
  }

  async #writeZeroes({ flags, offset, length }: Request): Promise<void> {
    const disk = this.#disk();
    const mustHaveSpace = (flags & CommandFlag.noHole) !== 0;
    if (flags & CommandFlag.fastZero && (mustHaveSpace || !isFastToZero(disk, offset, length))) {
      throw new Refusal(Errno.notSupported, 'these zeros would have to be written');
    }
    if (!mustHaveSpace) return disk.zero(offset, length);
    const zeros = new Uint8Array(Math.min(PIECE, length));
    for (let done = 0; done < length; done += zeros.length) {
      await disk.write(zeros.subarray(0, Math.min(zeros.length, length - done)), offset + done);
    }
  }

  async #read(request: Request): Promise<void> {
    const { cookie, flags, offset, length } = request;
    const { structured, served } = this.#agreement;
    if (length > MAX_REQUEST) {
      throw new Refusal(Errno.overflow, `${length} bytes are more than ${MAX_REQUEST}, which is the most`);
    }
    if (!structured) {
      const reply = this.#buffers.take(SIMPLE_HEAD + length);
      await served.disk.readInto(reply.subarray(SIMPLE_HEAD), offset);
      this.#send(putSimpleReply(reply, cookie));
      return;
    }
    if (length === 0) return this.#chunk(Chunk.none, cookie, true);
    const whole = (flags & CommandFlag.df) !== 0 || length < MIN_LOOK;
    const parts = whole ? [{ offset, length, kind: 'data' }] : await partsIn(served.disk, offset, length);
    for (const [i, part] of parts.entries()) {
      const isLast = i === parts.length - 1;
      if (part.kind === 'hole') this.#chunk(Chunk.hole, cookie, isLast, u64(part.offset), u32(part.length));
      else await this.#data(cookie, isLast, part.offset, part.length);
    }
  }

  async #data(cookie: bigint, isLast: boolean, offset: number, length: number): Promise<void> {
    const head = CHUNK_HEAD + 8;
    const reply = this.#buffers.take(head + length);
    try {
      await this.#agreement.served.disk.readInto(reply.subarray(head), offset);
    } catch (error) {
      throw new FailedRead(offset, { cause: error });
    }
    putChunk(reply, { type: Chunk.data, cookie, length: 8 + length, isLast });
    reply.writeBigUInt64BE(BigInt(offset), CHUNK_HEAD);
    this.#send(reply);
  }

  async #blockStatus({ cookie, flags, offset, length }: Request): Promise<void> {
    const { allocation, served } = this.#agreement;
    if (!allocation) throw new Refusal(Errno.invalid, 'no metadata context was chosen');
    if (length === 0) throw new Refusal(Errno.invalid, 'the range is empty');
    const one = (flags & CommandFlag.reqOne) !== 0;
    const descriptors = await blockStatus(served.disk, offset, length, one);
    const payload = Buffer.alloc(8 * descriptors.length);
    descriptors.forEach(({ length: bytes, status }, i) => {
      payload.writeUInt32BE(bytes, 8 * i);
      payload.writeUInt32BE(status, 8 * i + 4);
    });
    this.#chunk(Chunk.blockStatus, cookie, true, u32(ALLOCATION_ID), payload);
  }

  #succeed({ cookie }: Request): void {
    this.#send(putSimpleReply(Buffer.allocUnsafe(SIMPLE_HEAD), cookie));
  }

  /** A reply that says what went wrong; in a structured one, also in words and where. */
  #fail({ cookie, type }: Request, errno: number, message: string, offset?: number): void {
    if (!this.#agreement.structured || (type !== Command.read && type !== Command.blockStatus)) {
      this.#send(putSimpleReply(Buffer.allocUnsafe(SIMPLE_HEAD), cookie, errno));
      return;
    }
    const text = Buffer.from(message.slice(0, 1000));
    const words = [u32(errno), u16(text.length), text];
    if (offset === undefined) this.#chunk(Chunk.error, cookie, true, ...words);
    else this.#chunk(Chunk.errorAtOffset, cookie, true, ...words, u64(offset));
  }

  #chunk(type: number, cookie: bigint, isLast: boolean, ...payload: Uint8Array[]): void {
    const length = payload.reduce((sum, part) => sum + part.length, 0);
    this.#send(Buffer.concat([putChunk(Buffer.alloc(CHUNK_HEAD), { type, cookie, length, isLast }), ...payload]));
  }

  /** Sends a reply; those of one turn of the event loop go together. */
  #send(bytes: Buffer): void {
    const socket = this.#socket;
    if (socket.destroyed || socket.writableEnded) return;
    if (socket.writableCorked === 0) {
      socket.cork();
      process.nextTick(() => socket.uncork());
    }
    socket.write(bytes, () => this.#buffers.give(bytes));
  }
}

/** An error of a read, and where the part of it begins that failed. */
class FailedRead extends Error {
  readonly offset: number;
  constructor(offset: number, options: ErrorOptions) {
    super('a read has failed', options);
    this.offset = offset;
  }
}

function refusalOf(error: unknown): [errno: number, message: string, offset?: number] {
  if (error instanceof FailedRead) {
    const [errno, message] = refusalOf(error.cause);
    return [errno, message, error.offset];
  }
  if (error instanceof Refusal) return [error.errno, error.message];
  if (error instanceof RangeError) return [Errno.invalid, error.message];
  if (!(error instanceof VhdxError)) return [Errno.io, 'the disk cannot be read or written'];
  return [error.code === 'no-space' ? Errno.noSpace : Errno.io, error.reason];
}
