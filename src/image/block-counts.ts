/** What the BAT of an image says in all. Numbers of blocks, and bytes if the name says so. */
export interface BlockCounts {
  /** How many there are: the sum of the states below and of entries with a reserved state. */
  readonly payloadBlocks: number;
  /** In the parent, or nothing if there is none. */
  readonly notPresent: number;
  /** Content that no reader may rely on. */
  readonly undefined: number;
  /** Zeros. */
  readonly zero: number;
  /** Given back by the guest. */
  readonly unmapped: number;
  /** Wholly in the file. */
  readonly fullyPresent: number;
  /** Some sectors in the file, some in the parent. */
  readonly partiallyPresent: number;
  /** Sector bitmap blocks that are present. */
  readonly sectorBitmaps: number;
  /** Payload blocks whose BAT entry does not lead to all of their data, or to a place that another block has too. */
  readonly damaged: number;
  /** Bytes of the file that payload blocks occupy, each counted once however many blocks claim it, in whole MiB. */
  readonly storedBytes: number;
  /** Bytes of the file after its first payload block that nothing refers to. */
  readonly leakedBytes: number;
}
