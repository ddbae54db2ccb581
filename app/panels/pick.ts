import { el, isAbort } from '../dom.js';

/** Opens the browser's dialog for saving; only some browsers have it. */
type SavePicker = (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;

/**
 * Lets the user choose a file to save to; null if the browser has no dialog for that, or none in a page within another
 * site's. What else the dialog says is thrown.
 */
export async function pickTarget(suggestedName: string): Promise<FileSystemFileHandle | null | 'declined'> {
  const pick = (globalThis as { showSaveFilePicker?: SavePicker }).showSaveFilePicker;
  if (pick === undefined) return null;
  try {
    return await pick({ suggestedName });
  } catch (error) {
    if (isAbort(error)) return 'declined';
    if (error instanceof DOMException && error.name === 'SecurityError') return null;
    throw error;
  }
}

/** Gives a blob to the browser's downloads. */
export function download(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  el('a', { href: url, download: name }).click();
  // Long enough for the browser to have taken the blob over.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
