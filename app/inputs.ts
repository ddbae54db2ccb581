import { byId } from './dom.js';
import { droppedFiles } from './dropped-files.js';
import { fetchSample } from './sample.js';
import { sentence } from './wording.js';

/** What to do with what a person hands over. */
interface Intake {
  /** `isMore`: in addition to what is open. */
  onFiles(files: readonly File[], isMore: boolean): void;
  onAddress(address: string): void;
}

/** Takes files that are dropped on the page or chosen, and addresses that are typed. */
export function watchInputs({ onFiles, onAddress }: Intake): void {
  const leftOut = byId('left-out', HTMLParagraphElement);
  // What is handed over while the names of a folder are still read takes its place.
  let turn = 0;
  const begin = () => {
    leftOut.hidden = true;
    turn += 1;
    return turn;
  };

  for (const [id, isMore] of [
    ['files', false],
    ['more-files', true],
  ] as const) {
    const field = byId(id, HTMLInputElement);
    field.addEventListener('change', () => {
      const files = [...(field.files ?? [])];
      // So that choosing the same file again, after it changed, is a change.
      field.value = '';
      if (files.length === 0) return;
      begin();
      onFiles(files, isMore);
    });
  }

  byId('sample', HTMLButtonElement).addEventListener('click', () => {
    const own = begin();
    fetchSample().then(
      (file) => {
        if (own === turn) onFiles([file], false);
      },
      (error) => {
        if (own !== turn) return;
        leftOut.textContent = sentence(error instanceof Error ? error.message : String(error));
        leftOut.hidden = false;
      },
    );
  });

  const address = byId('address-url', HTMLInputElement);
  byId('address', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    const text = address.value.trim();
    const url = text === '' ? undefined : parse(text);
    address.setCustomValidity(url ? '' : 'Give an address that begins with http:// or https://');
    if (!address.reportValidity() || !url) return;
    begin();
    onAddress(url.href);
  });
  address.addEventListener('input', () => address.setCustomValidity(''));

  const takeDrop = async (transfer: DataTransfer): Promise<void> => {
    const own = begin();
    const dropped = await droppedFiles(transfer);
    if (own !== turn) return;
    if (dropped.files.length > 0) onFiles(dropped.files, false);
    leftOut.textContent = dropped.leftOut ?? '';
    leftOut.hidden = dropped.leftOut === undefined;
  };
  watchDrops((transfer) => void takeDrop(transfer));
}

function parse(text: string): URL | undefined {
  try {
    const url = new URL(text, document.baseURI);
    return /^https?:$/.test(url.protocol) ? url : undefined;
  } catch {
    return undefined;
  }
}

function watchDrops(onDrop: (transfer: DataTransfer) => void): void {
  // Elements that the pointer is over, as enter and leave events tell of each.
  let depth = 0;
  const mark = () => {
    document.body.classList.toggle('dragging', depth > 0);
  };
  const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
  addEventListener('dragenter', (event) => {
    if (!carriesFiles(event)) return;
    depth += 1;
    mark();
  });
  addEventListener('dragleave', (event) => {
    if (!carriesFiles(event)) return;
    depth = Math.max(0, depth - 1);
    mark();
  });
  addEventListener('dragover', (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  addEventListener('drop', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    mark();
    if (event.dataTransfer) onDrop(event.dataTransfer);
  });
}
