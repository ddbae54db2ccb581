import type { PartitionTable } from '../src/volumes/index.js';
import { Client } from './client.js';
import { byId, el } from './dom.js';
import { watchInputs } from './inputs.js';
import { BytesPanel } from './panels/bytes.js';
import { checksumPanel } from './panels/checksum.js';
import { FilesPanel } from './panels/files.js';
import { findingsPanel } from './panels/findings.js';
import { MapPanel } from './panels/map.js';
import { overviewPanel } from './panels/overview.js';
import { type Context, sentenceOf } from './panels/panel.js';
import { partitionsPanel } from './panels/partitions.js';
import { repairPanel } from './panels/repair.js';
import { savePanel } from './panels/save.js';
import type { Input, Opened } from './protocol.js';

const client = new Client();
const bytes = new BytesPanel();
const map = new MapPanel();
const panels = [
  overviewPanel(),
  map,
  findingsPanel(),
  partitionsPanel(),
  new FilesPanel(),
  bytes,
  repairPanel(),
  checksumPanel(),
  savePanel(),
];

const announcer = byId('announcer', HTMLParagraphElement);
const alarm = byId('alarm', HTMLParagraphElement);
const opening = byId('opening', HTMLParagraphElement);
const openingText = byId('opening-text', HTMLSpanElement);
const disk = byId('disk', HTMLElement);
const diskName = byId('disk-name', HTMLHeadingElement);
const missing = byId('missing', HTMLParagraphElement);
const salvage = byId('salvage', HTMLParagraphElement);
const subjectField = byId('subject-field', HTMLParagraphElement);
const subject = byId('subject', HTMLSelectElement);

/** The button that adds parents, and what it looks like. */
const MORE_FILES = ['more-files', 'more-files-label'];

let inputs: readonly Input[] = [];
let current = new AbortController();
let shownSubject = 0;

const announce = (text: string) => {
  announcer.textContent = text;
};

/**
 * Opens files in place of those that are open. `wanted` is the one to show, if the user has chosen it; `unverified` opens
 * an image that is damaged as a whole.
 */
async function open(next: readonly Input[], wanted?: number, unverified = false): Promise<void> {
  if (next.length === 0) return;
  current.abort(new DOMException('other files are opened', 'AbortError'));
  const opened = new AbortController();
  current = opened;
  alarm.hidden = true;
  salvage.hidden = true;
  opening.hidden = false;
  const [first] = next;
  openingText.textContent =
    next.length > 1 ? `Opening ${next.length} files…` : `Opening ${typeof first === 'string' ? first : first?.name}…`;
  try {
    const result = await client.call(
      'open',
      { inputs: next, ...(wanted !== undefined && { subject: wanted }), salvage: unverified },
      { signal: opened.signal },
    );
    inputs = next;
    show(result, opened.signal);
  } catch (error) {
    // What was open before is closed by now.
    if (current === opened) close();
    const sentence = sentenceOf(error);
    if (sentence !== undefined) complain(sentence);
  } finally {
    if (current === opened) opening.hidden = true;
  }
}

/** Shows no disk any more. */
function close(): void {
  inputs = [];
  disk.hidden = true;
  delete document.body.dataset['state'];
  document.title = 'VHDX inspector';
  for (const id of MORE_FILES) byId(id, HTMLElement).hidden = true;
  // What had it is hidden now.
  byId('files', HTMLInputElement).focus({ preventScroll: true });
}

function complain(sentence: string): void {
  alarm.textContent = sentence;
  alarm.hidden = false;
}

function show(opened: Opened, signal: AbortSignal): void {
  const info = opened.chain[0]?.info;
  const input = inputs[opened.subject];
  let partitions: Promise<PartitionTable> | undefined;
  const context: Context = {
    client,
    opened,
    file: typeof input === 'string' ? undefined : input,
    replaceFile: (file) => {
      void open(
        inputs.map((before, i) => (i === opened.subject ? file : before)),
        opened.subject,
      );
    },
    info,
    diskSize: info?.virtualSize ?? opened.other?.size,
    signal,
    announce,
    partitions: () => {
      partitions ??= client.call('partitions', null, { signal });
      return partitions;
    },
    showOnMap: info && ((offset, length) => map.reveal(offset, length)),
    showBytes: (of, offset) => bytes.reveal(of, offset),
  };
  document.body.dataset['state'] = 'open';
  const name = opened.candidates[opened.subject]?.name ?? '';
  diskName.textContent = name;
  document.title = `${name} – VHDX inspector`;
  if (opened.problem) complain(opened.problem.sentence);
  salvage.hidden = !opened.canSalvage;
  shownSubject = opened.subject;
  missing.textContent = opened.missing?.sentence ?? '';
  missing.hidden = opened.missing === undefined;
  for (const id of MORE_FILES) byId(id, HTMLElement).hidden = opened.missing === undefined;
  subject.replaceChildren(
    ...opened.candidates.map((candidate, i) =>
      el('option', { value: i, selected: i === opened.subject }, candidate.name),
    ),
  );
  subjectField.hidden = opened.candidates.length < 2;
  disk.hidden = false;
  // Of what is no VHDX there is no map, and of what does not open at all only the file.
  byId('panel-map', HTMLElement).hidden = info === undefined;
  byId('panel-save', HTMLElement).hidden = context.diskSize === undefined;
  for (const panel of panels) panel.show(context);
  // Who goes through the files with the keys goes on doing so.
  if (document.activeElement !== subject) diskName.focus({ preventScroll: true });
}

byId('opening-cancel', HTMLButtonElement).addEventListener('click', () => {
  current.abort(new DOMException('aborted', 'AbortError'));
});
byId('salvage-open', HTMLButtonElement).addEventListener('click', () => void open(inputs, shownSubject, true));
subject.addEventListener('change', () => void open(inputs, Number(subject.value)));
watchInputs({
  onFiles: (files, isMore) => void (isMore ? open([...inputs, ...files], shownSubject) : open(files)),
  onAddress: (address) => void open([address]),
});

// Only the built page has it: see the build's configuration.
const serviceWorker = document.querySelector<HTMLMetaElement>('meta[name="offline"]')?.content;
if (serviceWorker !== undefined && 'serviceWorker' in navigator) {
  // Without it the page does all it does, as long as there is a network.
  navigator.serviceWorker.register(serviceWorker).catch(() => undefined);
}

/** A link to this page may name what to open: `?url=disk.vhdx`, more than one for a chain. */
const linked = new URLSearchParams(location.search).getAll('url');
void open(linked.map((address) => new URL(address, document.baseURI).href));
