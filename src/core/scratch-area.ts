/** Work that keeps something in the scratch area between its calls of the core. */
export interface ScratchUser {
  /** How many bytes of the area it uses, from the start. */
  readonly length: number;
  /** What it had there when another user took the area; kept by the area. */
  kept?: Uint8Array | undefined;
}

/**
 * The one area of the core's memory in which scans keep their map and sums their bins. It belongs to the work that
 * runs at the moment: none holds it while waiting, so a source that never answers keeps no other work from running.
 */
export class ScratchArea {
  /** Where it begins in the core's memory. */
  readonly address: number;
  /** The area itself. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  #user: ScratchUser | undefined;

  constructor(memory: Uint8Array<ArrayBuffer>, address: number, length: number) {
    this.address = address;
    this.bytes = memory.subarray(address, address + length);
  }

  /**
   * Gives the area to a user until the next call that may wait, with what it had there before, or zeros. What the last
   * user has there is kept for it.
   */
  enter(user: ScratchUser): void {
    if (this.#user === user) return;
    if (this.#user) this.#user.kept = this.bytes.slice(0, this.#user.length);
    if (user.kept) this.bytes.set(user.kept);
    else this.bytes.fill(0, 0, user.length);
    user.kept = undefined;
    this.#user = user;
  }

  /** Ends a use: nothing is kept for it. */
  leave(user: ScratchUser): void {
    if (this.#user === user) this.#user = undefined;
  }
}
