import { countText, namesText } from './wording.js';

/** Endings of disk images; other files of a folder are not looked at, nor what macOS keeps beside each on foreign disks. */
const IMAGES = /^(?!\._).*\.(a?vhdx?|a?vhds|img|raw)$/i;
const NO_IMAGES =
  'There are no disk images in that folder: files whose names end with .vhdx, .avhdx, .vhd, .avhd, .vhds, .img or .raw.';
/** Most files of a folder that are taken, and how deep it is gone into. */
const MOST = 1000;
const DEEPEST = 16;

/** What was dropped: the files to open, and what of it is not among them. */
export interface Dropped {
  readonly files: File[];
  /** In a sentence; undefined if all of it is there. */
  readonly leftOut?: string;
}

/** What was found in folders. */
interface Found {
  readonly files: File[];
  /** Names of what could not be read. */
  readonly unreadable: string[];
  /** Whether there is more than is taken. */
  isCut: boolean;
}

/**
 * The files that were dropped, and the images in folders that were: to drop the folder of a chain is how a person hands
 * over all of it. Must be called in the event itself, after which what was dropped is not to be had any more.
 */
export async function droppedFiles(transfer: DataTransfer): Promise<Dropped> {
  const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const found: Found = { files: [], unreadable: [], isCut: false };
  if (entries.every(({ isFile }) => isFile)) {
    found.files.push(...transfer.files);
    return explained(found, 'What was dropped is no file.');
  }
  for (const entry of entries) await add(entry, found, 0);
  return explained(found, NO_IMAGES);
}

function explained({ files, unreadable, isCut }: Found, nothing: string): Dropped {
  const parts = [
    files.length === 0 && unreadable.length === 0 && nothing,
    unreadable.length > 0 && `The browser cannot read ${namesText(unreadable)}.`,
    isCut && `Of folders, the first ${countText(MOST)} images are taken, and what is at most ${DEEPEST} folders deep.`,
  ].filter((part) => part !== false);
  return { files, ...(parts.length > 0 && { leftOut: parts.join(' ') }) };
}

const isDirectory = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory;

/** `depth`: in how many folders it lies of those that were dropped. */
async function add(entry: FileSystemEntry, found: Found, depth: number): Promise<void> {
  if (depth > 0 && !isDirectory(entry) && !IMAGES.test(entry.name)) return;
  if (found.files.length >= MOST || depth > DEEPEST) {
    found.isCut = true;
    return;
  }
  try {
    if (isDirectory(entry)) for await (const inside of entriesOf(entry)) await add(inside, found, depth + 1);
    else found.files.push(await fileOf(entry as FileSystemFileEntry));
  } catch {
    found.unreadable.push(entry.name);
  }
}

const fileOf = (entry: FileSystemFileEntry) => new Promise<File>((resolve, reject) => entry.file(resolve, reject));

/** Browsers give a part of the names at a time, and none at the end. */
async function* entriesOf(folder: FileSystemDirectoryEntry): AsyncGenerator<FileSystemEntry> {
  const reader = folder.createReader();
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return;
    yield* entries;
  }
}
