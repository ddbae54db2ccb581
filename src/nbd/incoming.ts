import type { Socket } from 'node:net';

/** Bytes that are kept before the peer has to wait. */
const MAX_KEPT = 1024 * 1024;

/** The peer has closed its side, in the middle of a message or between two. */
export class Ended extends Error {
  override readonly name = 'Ended';
}

/** What a connection receives, taken in pieces of the lengths that a protocol asks for. */
export class Incoming {
  readonly #socket: Socket;
  readonly #chunks: Buffer[] = [];
  #kept = 0;
  #wanted = 0;
  #over = false;
  #wake: (() => void) | undefined;

  readonly #onData = (chunk: Buffer): void => {
    this.#chunks.push(chunk);
    this.#kept += chunk.length;
    if (this.#kept > Math.max(MAX_KEPT, this.#wanted)) this.#socket.pause();
    this.#wake?.();
  };

  readonly #onOver = (): void => {
    this.#over = true;
    this.#wake?.();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', this.#onData);
    socket.on('end', this.#onOver);
    socket.on('close', this.#onOver);
  }

  /** Bytes that came and were not taken. */
  get kept(): number {
    return this.#kept;
  }

  /** The next bytes; rejects with {@link Ended} if the peer ends before them. */
  async take(length: number): Promise<Buffer> {
    this.#wanted = length;
    while (this.#kept < length) await this.#more();
    return this.#cut(length);
  }

  /** Throws away the next bytes, however many. */
  async skip(length: number): Promise<void> {
    for (let left = length; left > 0; ) {
      while (this.#kept === 0) await this.#more();
      const now = Math.min(left, this.#kept);
      this.#cut(now);
      left -= now;
    }
  }

  /** Leaves the socket to another reader; what was received and not taken is lost. */
  detach(): void {
    this.#socket.off('data', this.#onData);
    this.#socket.off('end', this.#onOver);
    this.#socket.off('close', this.#onOver);
  }

  /** Ends the wait for more, as if the peer had ended. */
  stop(): void {
    this.#onOver();
  }

  #more(): Promise<void> {
    if (this.#over) return Promise.reject(new Ended('the connection has ended'));
    this.#socket.resume();
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #cut(length: number): Buffer {
    const [first] = this.#chunks;
    this.#kept -= length;
    if (first && first.length > length) {
      this.#chunks[0] = first.subarray(length);
      return first.subarray(0, length);
    }
    if (first?.length === length) return this.#chunks.shift() as Buffer;
    const whole = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; ) {
      const chunk = this.#chunks[0] as Buffer;
      const part = Math.min(chunk.length, length - at);
      chunk.copy(whole, at, 0, part);
      at += part;
      if (part === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part);
    }
    return whole;
  }
}
