// The numbers and messages of the NBD protocol (NetworkBlockDevice/nbd, doc/proto.md). All integers are big-endian.

/** What a server says first: NBDMAGIC, IHAVEOPT, and its handshake flags: fixed newstyle, and no zeroes. */
export const GREETING = Buffer.from('NBDMAGICIHAVEOPT\0\u0003', 'latin1');

/** The client's flags that are known: the same two. */
export const ClientFlag = { fixedNewstyle: 1, noZeroes: 2 } as const;

/** What an option begins with. */
export const OPTION_MAGIC = 0x49484156454f5054n;
/** Length of an option without its data. */
export const OPTION_HEAD = 16;

/** Options of the negotiation. */
export const Option = {
  exportName: 1,
  abort: 2,
  list: 3,
  startTls: 5,
  info: 6,
  go: 7,
  structuredReply: 8,
  listMetaContext: 9,
  setMetaContext: 10,
} as const;

/** Replies to options. Errors have the topmost bit. */
export const Reply = {
  ack: 1,
  server: 2,
  info: 3,
  metaContext: 4,
  unsupported: 0x8000_0001,
  invalid: 0x8000_0003,
  tlsRequired: 0x8000_0005,
  unknown: 0x8000_0006,
  shutdown: 0x8000_0007,
  tooBig: 0x8000_0009,
} as const;

/** What a reply of type `info` is about. */
export const Info = { export: 0, name: 1, description: 2, blockSize: 3 } as const;

/** What an export is and can do: the transmission flags. */
export const ExportFlag = {
  hasFlags: 1 << 0,
  readOnly: 1 << 1,
  sendFlush: 1 << 2,
  sendFua: 1 << 3,
  sendTrim: 1 << 5,
  sendWriteZeroes: 1 << 6,
  sendDf: 1 << 7,
  canMultiConn: 1 << 8,
  sendCache: 1 << 10,
  sendFastZero: 1 << 11,
} as const;

/** Commands of the transmission. */
export const Command = {
  read: 0,
  write: 1,
  disconnect: 2,
  flush: 3,
  trim: 4,
  cache: 5,
  writeZeroes: 6,
  blockStatus: 7,
} as const;

/** Flags of a command. */
export const CommandFlag = { fua: 1, noHole: 2, df: 4, reqOne: 8, fastZero: 16 } as const;

/** Error numbers of replies. */
export const Errno = {
  notPermitted: 1,
  io: 5,
  invalid: 22,
  noSpace: 28,
  overflow: 75,
  notSupported: 95,
  shutdown: 108,
} as const;

/** Types of the chunks of a structured reply. */
export const Chunk = { none: 0, data: 1, hole: 2, blockStatus: 5, error: 32_769, errorAtOffset: 32_770 } as const;
/** The flag of the last chunk of a reply. */
const DONE = 1;

/** The name of the one metadata context that there is. */
export const ALLOCATION = 'base:allocation';
/** Its number in replies. */
export const ALLOCATION_ID = 1;
/** What it says of a range: nothing is stored for it, and it reads as zeros. */
export const Status = { hole: 1, zero: 2 } as const;

/** Bytes of a request without its payload. */
export const REQUEST_HEAD = 28;
const REQUEST_MAGIC = 0x2560_9513;
const SIMPLE_REPLY_MAGIC = 0x6744_6698;
const CHUNK_MAGIC = 0x668e_33ef;
const OPTION_REPLY_MAGIC = 0x0003_e889_0455_65a9n;

/** A request of the transmission. */
export interface Request {
  readonly flags: number;
  readonly type: number;
  /** What the client calls the request; a reply has the same. */
  readonly cookie: bigint;
  /** In bytes; past 2^53 it is not exact, and past the end of any disk. */
  readonly offset: number;
  readonly length: number;
}

/** Reads the head of a request; undefined if it is none. */
export function parseRequest(head: Buffer): Request | undefined {
  if (head.readUInt32BE(0) !== REQUEST_MAGIC) return undefined;
  return {
    flags: head.readUInt16BE(4),
    type: head.readUInt16BE(6),
    cookie: head.readBigUInt64BE(8),
    offset: Number(head.readBigUInt64BE(16)),
    length: head.readUInt32BE(24),
  };
}

/** Bytes of a simple reply without its data. */
export const SIMPLE_HEAD = 16;

/** Writes the head of a simple reply; its data follows. */
export function putSimpleReply(target: Buffer, cookie: bigint, error = 0): Buffer {
  target.writeUInt32BE(SIMPLE_REPLY_MAGIC, 0);
  target.writeUInt32BE(error, 4);
  target.writeBigUInt64BE(cookie, 8);
  return target;
}

/** Bytes of a chunk without its payload. */
export const CHUNK_HEAD = 20;

/** A chunk of a structured reply. */
export interface ChunkHead {
  readonly type: number;
  readonly cookie: bigint;
  /** Bytes of its payload, which follow. */
  readonly length: number;
  /** Whether it is the last one of the reply. */
  readonly isLast: boolean;
}

/** Writes the head of a chunk; its payload follows. */
export function putChunk(target: Buffer, { type, cookie, length, isLast }: ChunkHead): Buffer {
  target.writeUInt32BE(CHUNK_MAGIC, 0);
  target.writeUInt16BE(isLast ? DONE : 0, 4);
  target.writeUInt16BE(type, 6);
  target.writeBigUInt64BE(cookie, 8);
  target.writeUInt32BE(length, 16);
  return target;
}

/** A reply to an option. */
export function optionReply(option: number, type: number, data: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(20);
  head.writeBigUInt64BE(OPTION_REPLY_MAGIC, 0);
  head.writeUInt32BE(option, 8);
  head.writeUInt32BE(type, 12);
  head.writeUInt32BE(data.length, 16);
  return Buffer.concat([head, data]);
}

/** 16 bits. */
export const u16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
};

/** 32 bits. */
export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** 64 bits. */
export const u64 = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return bytes;
};

/** A text with its length before it. */
export const counted = (text: string): Buffer => Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(text)]);
