import { byId, el, isAbort } from '../dom.js';
import type { RepairPlan } from '../protocol.js';
import { sentence, sizeText } from '../wording.js';
import { JobView } from './job.js';
import { type Context, type Panel, sentenceOf } from './panel.js';
import { download, pickTarget } from './pick.js';

/** Opens the browser's dialog for choosing files; only some browsers have it. */
type OpenPicker = (options: { multiple: false }) => Promise<FileSystemFileHandle[]>;

/** How a page asks to be permitted to write; not in TypeScript's types. */
type Permitting = FileSystemFileHandle & { requestPermission?(options: { mode: 'readwrite' }): Promise<string> };

const picker = (): OpenPicker | undefined => (globalThis as { showOpenFilePicker?: OpenPicker }).showOpenFilePicker;

/**
 * The panel that repairs the image: the file itself, if the browser lets pages write files, or a copy. It is there
 * only if something can be repaired, or why nothing can is worth saying, and first says what would change.
 */
export function repairPanel(): Panel {
  const panel = byId('panel-repair', HTMLElement);
  const state = byId('repair-state', HTMLParagraphElement);
  const list = byId('repair-list', HTMLUListElement);
  const discardField = byId('repair-discard-field', HTMLLabelElement);
  const discard = byId('repair-discard', HTMLInputElement);
  const how = byId('repair-how', HTMLParagraphElement);
  let context: Context | undefined;
  /** Size and time of the file when it was opened: some browsers look them up again whenever they are asked. */
  let asOpened = { size: 0, lastModified: 0 };
  /** What was repaired before the file was opened again, to be shown with it. */
  let outcome: readonly string[] | undefined;

  const inPlace = new JobView(byId('repair-work', HTMLDivElement), 'Repair the file…', async () => {
    const asked = context;
    const file = asked?.file;
    if (!asked || !file) return undefined;
    // Asked for in the click itself: browsers show their dialogs at no other time.
    const target = await writableHandle();
    if (!target) return undefined;
    return async (signal) => {
      const parameters = { target, asOpened, discardLog: discard.checked };
      const { repairs } = await asked.client.call('repair', parameters, {
        signal: AbortSignal.any([signal, asked.signal]),
      });
      outcome = repairs;
      asked.announce('Repaired.');
      asked.replaceFile(await target.getFile());
      return 'Repaired.';
    };
  });
  const copy = new JobView(byId('repair-copy', HTMLDivElement), 'Save a repaired copy…', async () => {
    const asked = context;
    const file = asked?.file;
    if (!asked || !file) return undefined;
    const target = await pickTarget(file.name.replace(/(\.a?vhdx)?$/i, (ending) => `-repaired${ending}`));
    if (target === 'declined') return undefined;
    return async (signal, onProgress) => {
      const parameters = { target, discardLog: discard.checked };
      const saved = await asked.client.call('saveRepaired', parameters, {
        signal: AbortSignal.any([signal, asked.signal]),
        onProgress,
      });
      if (!saved.blob) return `Saved as ${saved.name}. ${file.name} is as it was.`;
      download(saved.blob, saved.name);
      return `${saved.name} (${sizeText(saved.blob.size)}), repaired, was given to the browser's downloads.`;
    };
  });

  const render = ({ repairs, refusal, discardsLog }: RepairPlan) => {
    panel.hidden = repairs.length === 0 && refusal === undefined;
    discardField.hidden = !discardsLog;
    list.replaceChildren(...repairs.map((message) => el('li', {}, sentence(message))));
    state.textContent =
      refusal === undefined ? 'A repair would do this, and nothing else:' : `Not repaired: ${refusal}`;
    inPlace.shown = repairs.length > 0 && picker() !== undefined;
    copy.shown = repairs.length > 0;
    how.hidden = repairs.length === 0;
    how.textContent =
      picker() === undefined
        ? 'What the disk holds and its identity stay the same. This browser lets no page change a file, so a copy is repaired.'
        : 'What the disk holds and its identity stay the same. The file itself is replaced by the browser in one step, when the repair is complete; choose it once more and allow the page to write. A copy leaves it as it is.';
  };

  const plan = ({ client, signal }: Context) => {
    client.call('planRepair', { discardLog: discard.checked }, { signal }).then(render, (error: unknown) => {
      const reason = sentenceOf(error);
      if (reason !== undefined) render({ repairs: [], discardsLog: false, refusal: reason });
    });
  };
  discard.addEventListener('change', () => context && plan(context));

  return {
    show(shown) {
      context = shown;
      if (shown.file) asOpened = { size: shown.file.size, lastModified: shown.file.lastModified };
      discard.checked = false;
      inPlace.reset();
      copy.reset();
      if (outcome) {
        render({ repairs: outcome, discardsLog: false });
        state.textContent = 'The file was repaired:';
        inPlace.shown = false;
        copy.shown = false;
        how.hidden = true;
        outcome = undefined;
        return;
      }
      panel.hidden = true;
      if (shown.file) plan(shown);
    },
  };
}

/** Lets the user choose the file and permit the page to write it; undefined if that was declined. */
async function writableHandle(): Promise<FileSystemFileHandle | undefined> {
  try {
    const [handle] = (await picker()?.({ multiple: false })) ?? [];
    const permission = await (handle as Permitting | undefined)?.requestPermission?.({ mode: 'readwrite' });
    return permission === 'denied' ? undefined : handle;
  } catch (error) {
    if (isAbort(error)) return undefined;
    throw error;
  }
}
