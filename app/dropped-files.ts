/** Endings of disk images; other files of a folder are not looked at. */
const IMAGES = /\.(a?vhdx?|vhds|img|raw)$/i;
/** Most files of a folder that are taken, and how deep it is gone into. */
const MOST = 1000;
const DEEPEST = 4;

/**
 * The files that were dropped, and the images in folders that were: to drop the folder of a chain is how a person hands
 * over all of it. Must be called in the event itself, after which what was dropped is not to be had any more.
 */
export async function droppedFiles(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  if (entries.every(({ isFile }) => isFile)) return [...transfer.files];
  const found: File[] = [];
  for (const entry of entries) {
    if (isDirectory(entry)) await addImages(entry, found, 1);
    else found.push(await fileOf(entry as FileSystemFileEntry));
  }
  return found;
}

const isDirectory = (entry: FileSystemEntry): entry is FileSystemDirectoryEntry => entry.isDirectory;

const fileOf = (entry: FileSystemFileEntry) => new Promise<File>((resolve, reject) => entry.file(resolve, reject));

async function addImages(folder: FileSystemDirectoryEntry, found: File[], depth: number): Promise<void> {
  const reader = folder.createReader();
  // Browsers give a part of the names at a time, and none at the end.
  for (;;) {
    const entries = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (entries.length === 0) return;
    for (const entry of entries) {
      if (found.length >= MOST) return;
      if (isDirectory(entry)) {
        if (depth < DEEPEST) await addImages(entry, found, depth + 1);
      } else if (IMAGES.test(entry.name)) found.push(await fileOf(entry as FileSystemFileEntry));
    }
  }
}
