import type { SyncAccessHandleLike } from '../../src/io/opfs.js';
import type { PickedFileHandle } from '../../src/io/swap-file.js';
import { sourceBytes } from './scripted-source.js';

/** A file that was picked, in memory: what is written shows when the swap file is closed (File System Standard, 2.7). */
export class FakePickedFile implements PickedFileHandle {
  readonly name = 'disk.vhdx';
  bytes: Uint8Array<ArrayBuffer>;
  lastModified = 1000;
  /** Swap files that were made, and what became of them. */
  readonly swaps: string[] = [];
  failure: Error | undefined;

  constructor(content: number | Uint8Array<ArrayBuffer>) {
    this.bytes = typeof content === 'number' ? sourceBytes(0, content).slice() : content;
  }

  async getFile(): Promise<File> {
    return new File([this.bytes], this.name, { lastModified: this.lastModified });
  }

  async createWritable({ keepExistingData }: { keepExistingData: boolean }) {
    const at = this.swaps.push('open') - 1;
    let swap = keepExistingData ? this.bytes.slice() : new Uint8Array(0);
    const truncate = async (size: number): Promise<void> => {
      const next = new Uint8Array(size);
      next.set(swap.subarray(0, size));
      swap = next;
    };
    return {
      truncate,
      write: async ({ position, data }: { position: number; data: Uint8Array }): Promise<void> => {
        if (this.failure) throw this.failure;
        if (position + data.length > swap.length) await truncate(position + data.length);
        swap.set(data, position);
      },
      close: async (): Promise<void> => {
        this.bytes = swap;
        this.lastModified++;
        this.swaps[at] = 'closed';
      },
      abort: async (): Promise<void> => {
        this.swaps[at] = 'aborted';
      },
    };
  }
}

/** A `FileSystemSyncAccessHandle` in memory, with a quota. */
export class FakeSyncHandle implements SyncAccessHandleLike {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  quota = Number.POSITIVE_INFINITY;
  /** Most bytes of one call. */
  most = Number.POSITIVE_INFINITY;
  flushes = 0;
  closed = 0;
  failure: Error | undefined;

  read(target: Uint8Array, { at }: { at: number }): number {
    const part = this.bytes.subarray(at, at + Math.min(target.length, this.most));
    target.set(part);
    return part.length;
  }

  write(bytes: Uint8Array, { at }: { at: number }): number {
    const count = Math.max(0, Math.min(bytes.length, this.most, this.quota - at));
    if (at + count > this.bytes.length) this.truncate(at + count);
    this.bytes.set(bytes.subarray(0, count), at);
    return count;
  }

  truncate(size: number): void {
    const next = new Uint8Array(size);
    next.set(this.bytes.subarray(0, size));
    this.bytes = next;
  }

  getSize(): number {
    return this.bytes.length;
  }

  flush(): void {
    if (this.failure) throw this.failure;
    this.flushes++;
  }

  close(): void {
    this.closed++;
  }
}
