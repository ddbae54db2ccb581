import type { RandomAccessSource, ReadOptions } from '../io/random-access.js';

/** What a path of a file system leads to. */
export type FileKind =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'character device'
  | 'block device'
  | 'pipe'
  | 'socket'
  | 'unknown';

/** An entry of a directory. */
export interface DirectoryEntry {
  /** As text; bytes that are no UTF-8 are U+FFFD. */
  readonly name: string;
  /** The bytes of the name. */
  readonly rawName: Uint8Array;
  readonly kind: FileKind;
  /** Number of the file in its file system. */
  readonly inode: number;
}

/** What a file system says of a file. */
export interface FileStat {
  readonly kind: FileKind;
  /** In bytes. */
  readonly size: number;
  /** Permissions and the bits set-uid, set-gid and sticky, as in `chmod`. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Names that it has. */
  readonly links: number;
  /** Number of the file in its file system. */
  readonly inode: number;
  readonly modified: Date;
  readonly accessed: Date;
  readonly changed: Date;
  /** When it was made, if the file system keeps that. */
  readonly created?: Date;
}

/** A range of bytes of a volume. */
export interface VolumeRange {
  readonly offset: number;
  readonly length: number;
}

/** A file: by its path, or as an entry of a directory, which is found at once however many there are. */
export type FilePlace = string | DirectoryEntry;

/**
 * A file system that is read. Paths are separated by `/` and begin at its root; symbolic links in them are followed
 * inside the file system. Nothing is ever written. Errors are a VhdxError: `not-found`, `wrong-kind`,
 * `file-system-damaged`, `file-system-unsupported`, and those of the source.
 */
export interface FileSystem {
  /** Such as `ext4`. */
  readonly kind: string;
  /** Its label; empty if it has none. */
  readonly label: string;
  /** What is unusual about it, in sentences: that its journal was replayed in memory, for instance. */
  readonly notes: readonly string[];
  /** The entries of a directory, without `.` and `..`, as they are read. A path is followed through links. */
  list(place: FilePlace, options?: ReadOptions): AsyncGenerator<DirectoryEntry>;
  /** What there is of a file. A link that is the last name of the path is not followed. */
  stat(place: FilePlace, options?: ReadOptions): Promise<FileStat>;
  /** The contents of a file; it knows its holes. A path is followed through links. */
  open(place: FilePlace, options?: ReadOptions): Promise<RandomAccessSource>;
  /** Where a link leads, as it says. */
  readlink(place: FilePlace, options?: ReadOptions): Promise<string>;
  /**
   * The ranges that the file system does not use, in the order of their offsets. Parts that were never used since it was
   * made may be left out. Rejects for a file system that is in doubt: marked as having errors, or with a bad checksum.
   */
  free(options?: ReadOptions): AsyncGenerator<VolumeRange>;
  /** Frees what it holds. The source stays open. */
  close(): Promise<void>;
}
