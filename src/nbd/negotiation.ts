import { flagsOf, MAX_REQUEST, type NbdExport, PREFERRED_BLOCK } from './export.js';
import type { Incoming } from './incoming.js';
import {
  ALLOCATION,
  ALLOCATION_ID,
  ClientFlag,
  counted,
  GREETING,
  Info,
  OPTION_HEAD,
  OPTION_MAGIC,
  Option,
  optionReply,
  Reply,
  u16,
  u32,
  u64,
} from './protocol.js';

/** What a client and the server have agreed on. */
export interface Agreement {
  readonly served: NbdExport;
  /** Whether replies are structured. */
  readonly structured: boolean;
  /** Whether the client may ask which ranges have data. */
  readonly allocation: boolean;
}

/** A side of a connection, as the negotiation needs it. */
export interface Peer {
  readonly incoming: Incoming;
  send(bytes: Uint8Array): void;
}

/** What the negotiation asks of the server. */
export interface Negotiator {
  readonly exports: readonly NbdExport[];
  /** Whether nothing goes on before TLS. */
  readonly tlsRequired: boolean;
  /** Whether the server is being closed. */
  isClosing(): boolean;
  /** Goes on by TLS; undefined if the server has none. */
  readonly startTls?: (() => Promise<Peer>) | undefined;
}

/** The client does not keep to the protocol: its connection ends. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** Longest data of an option that is read: names and queries of 4096 bytes each, and some of them. */
const MAX_OPTION = 65_536;

/** Agrees with a client on an export; undefined if the client does not want one. */
export async function negotiate(first: Peer, negotiator: Negotiator): Promise<Agreement | undefined> {
  first.send(GREETING);
  const clientFlags = (await first.incoming.take(4)).readUInt32BE(0);
  const { fixedNewstyle, noZeroes } = ClientFlag;
  if ((clientFlags & ~(fixedNewstyle | noZeroes)) !== 0) throw new ProtocolError('client flags that are not known');
  const talk = new Negotiation(first, negotiator, (clientFlags & noZeroes) !== 0);
  for (;;) {
    const result = await talk.option();
    if (result === 'abort') return undefined;
    if (result) return result;
  }
}

class Negotiation {
  #peer: Peer;
  readonly #negotiator: Negotiator;
  readonly #noZeroes: boolean;
  #secure = false;
  #structured = false;
  /** The name of the export that the allocation was asked for. */
  #allocationOf: string | undefined;

  constructor(peer: Peer, negotiator: Negotiator, noZeroes: boolean) {
    this.#peer = peer;
    this.#negotiator = negotiator;
    this.#noZeroes = noZeroes;
  }

  /** Answers one option; an agreement ends the negotiation. */
  async option(): Promise<Agreement | 'abort' | undefined> {
    const { incoming } = this.#peer;
    const head = await incoming.take(OPTION_HEAD);
    if (head.readBigUInt64BE(0) !== OPTION_MAGIC) throw new ProtocolError('no option where one has to be');
    const [option, length] = [head.readUInt32BE(8), head.readUInt32BE(12)];
    if (length > MAX_OPTION) {
      if (option === Option.exportName) throw new ProtocolError('a name that is too long');
      await incoming.skip(length);
      this.#reply(option, Reply.tooBig);
      return undefined;
    }
    const data = await incoming.take(length);
    const locked = this.#negotiator.tlsRequired && !this.#secure;
    if (option === Option.abort) {
      this.#reply(option, Reply.ack);
      return 'abort';
    }
    if (option === Option.exportName) return this.#exportName(data.toString(), locked);
    if (this.#negotiator.isClosing()) this.#reply(option, Reply.shutdown);
    else if (option === Option.startTls) await this.#startTls(data);
    else if (locked) this.#reply(option, Reply.tlsRequired);
    else return this.#answer(option, data);
    return undefined;
  }

  #reply(option: number, type: number, ...data: Uint8Array[]): void {
    this.#peer.send(optionReply(option, type, Buffer.concat(data)));
  }

  #find(name: string): NbdExport | undefined {
    const { exports } = this.#negotiator;
    return exports.find((served) => served.name === name) ?? (name === '' ? exports[0] : undefined);
  }

  #agree(served: NbdExport): Agreement {
    const allocation = this.#allocationOf !== undefined && this.#find(this.#allocationOf) === served;
    return { served, structured: this.#structured, allocation };
  }

  /** The oldest way to choose an export has no reply that says no. */
  #exportName(name: string, locked: boolean): Agreement {
    const served = this.#find(name);
    if (locked) throw new ProtocolError('an export was asked for without TLS');
    if (!served || this.#negotiator.isClosing()) throw new ProtocolError(`no export is called ${JSON.stringify(name)}`);
    const zeroes = new Uint8Array(this.#noZeroes ? 0 : 124);
    this.#peer.send(Buffer.concat([u64(served.disk.size), u16(flagsOf(served, this.#structured)), zeroes]));
    return this.#agree(served);
  }

  async #startTls(data: Buffer): Promise<void> {
    const { startTls } = this.#negotiator;
    if (data.length > 0) return this.#reply(Option.startTls, Reply.invalid);
    if (!startTls) return this.#reply(Option.startTls, Reply.unsupported);
    if (this.#secure) return this.#reply(Option.startTls, Reply.invalid);
    // What came before in the clear must not count, least of all what an intruder has put there.
    if (this.#peer.incoming.kept > 0) throw new ProtocolError('something was sent before the answer to STARTTLS');
    this.#reply(Option.startTls, Reply.ack);
    this.#peer = await startTls();
    this.#secure = true;
    this.#structured = false;
    this.#allocationOf = undefined;
  }

  #answer(option: number, data: Buffer): Agreement | undefined {
    switch (option) {
      case Option.list:
        return this.#list(data);
      case Option.info:
      case Option.go:
        return this.#infoOrGo(option, data);
      case Option.structuredReply:
        if (data.length === 0) this.#structured = true;
        this.#reply(option, data.length === 0 ? Reply.ack : Reply.invalid);
        return undefined;
      case Option.listMetaContext:
      case Option.setMetaContext:
        return this.#metaContext(option, data);
      default:
        this.#reply(option, Reply.unsupported);
        return undefined;
    }
  }

  #list(data: Buffer): undefined {
    if (data.length > 0) return void this.#reply(Option.list, Reply.invalid);
    for (const { name, description = '' } of this.#negotiator.exports)
      this.#reply(Option.list, Reply.server, counted(name), Buffer.from(description));
    this.#reply(Option.list, Reply.ack);
    return undefined;
  }

  #infoOrGo(option: number, data: Buffer): Agreement | undefined {
    const fields = new Fields(data);
    const name = fields.text();
    const asked = fields.list(fields.u16(), () => fields.u16());
    if (name === undefined || asked === undefined || !fields.isDone) {
      return void this.#reply(option, Reply.invalid);
    }
    const served = this.#find(name);
    if (!served) return void this.#reply(option, Reply.unknown, Buffer.from('there is no such export'));
    const { disk, description = '' } = served;
    const sizeAndFlags = [u64(disk.size), u16(flagsOf(served, this.#structured))];
    this.#reply(option, Reply.info, u16(Info.export), ...sizeAndFlags);
    if (asked.includes(Info.name)) this.#reply(option, Reply.info, u16(Info.name), Buffer.from(served.name));
    if (asked.includes(Info.description) && description !== '') {
      this.#reply(option, Reply.info, u16(Info.description), Buffer.from(description));
    }
    const sizes = [1, PREFERRED_BLOCK, MAX_REQUEST].map(u32);
    this.#reply(option, Reply.info, u16(Info.blockSize), ...sizes);
    this.#reply(option, Reply.ack);
    return option === Option.go ? this.#agree(served) : undefined;
  }

  #metaContext(option: number, data: Buffer): undefined {
    const fields = new Fields(data);
    const name = fields.text();
    const queries = fields.list(fields.u32(), () => fields.text());
    const isSet = option === Option.setMetaContext;
    if (isSet) this.#allocationOf = undefined; // a new choice replaces the last one, also if it is wrong
    if (name === undefined || queries === undefined || !fields.isDone || (isSet && !this.#structured)) {
      return void this.#reply(option, Reply.invalid);
    }
    if (!this.#find(name)) return void this.#reply(option, Reply.unknown, Buffer.from('there is no such export'));
    const isWanted = isSet
      ? queries.includes(ALLOCATION)
      : queries.length === 0 || queries.some((query) => query === ALLOCATION || query === 'base:');
    if (isWanted) {
      if (isSet) this.#allocationOf = name;
      this.#reply(option, Reply.metaContext, u32(isSet ? ALLOCATION_ID : 0), Buffer.from(ALLOCATION));
    }
    this.#reply(option, Reply.ack);
    return undefined;
  }
}

/** The fields of an option's data; undefined past its end. */
class Fields {
  readonly #data: Buffer;
  #at = 0;
  #cut = false;

  constructor(data: Buffer) {
    this.#data = data;
  }

  /** Whether everything was there, and nothing is left. */
  get isDone(): boolean {
    return !this.#cut && this.#at === this.#data.length;
  }

  u16(): number | undefined {
    return this.#take(2)?.readUInt16BE(0);
  }

  u32(): number | undefined {
    return this.#take(4)?.readUInt32BE(0);
  }

  /** A text that comes after its length. */
  text(): string | undefined {
    const length = this.u32();
    return length === undefined ? undefined : this.#take(length)?.toString();
  }

  /** So many of something. */
  list<T>(count: number | undefined, next: () => T | undefined): T[] | undefined {
    const all: T[] = [];
    for (let i = 0; i < (count ?? 0) && !this.#cut; i++) {
      const one = next();
      if (one !== undefined) all.push(one);
    }
    return this.#cut ? undefined : all;
  }

  #take(length: number): Buffer | undefined {
    if (this.#cut || length > this.#data.length - this.#at) {
      this.#cut = true;
      return undefined;
    }
    this.#at += length;
    return this.#data.subarray(this.#at - length, this.#at);
  }
}
