import type { Partition } from '../../src/volumes/index.js';
import { byId, el } from '../dom.js';
import type { SavedPart, SaveFormat } from '../protocol.js';
import { exactSizeText, savedName, sizeText } from '../wording.js';
import { JobView } from './job.js';
import type { Context, Panel } from './panel.js';
import { download, pickTarget } from './pick.js';

/** Largest disk that a VHD can hold, in bytes: 2,040 GiB. */
const LARGEST_VHD = 2040 * 1024 ** 3;

/** The panel that saves the disk as a raw image, a fixed VHD or a VHDX of its own. */
export function savePanel(): Panel {
  const what = byId('save-what', HTMLParagraphElement);
  const choices = [...document.querySelectorAll<HTMLInputElement>('input[name="save-format"]')];
  const salvage = byId('save-salvage', HTMLInputElement);
  const of = byId('save-of', HTMLParagraphElement);
  const part = byId('save-part', HTMLSelectElement);
  let context: Context | undefined;
  let partitions: readonly Partition[] = [];

  const chosen = (): SaveFormat => (choices.find(({ checked }) => checked)?.value ?? 'raw') as SaveFormat;

  const work = new JobView(byId('save-work', HTMLDivElement), 'Save…', async () => {
    const asked = context;
    if (!asked) return undefined;
    const format = chosen();
    const { candidates, subject } = asked.opened;
    const piece = savedPart();
    const diskName = asked.opened.chain[0]?.name ?? candidates[subject]?.name ?? 'disk';
    const name = savedName(diskName, format, piece?.suffix);
    // Asked for in the click itself: browsers show the dialog at no other time.
    const target = await pickTarget(name);
    if (target === 'declined') return undefined;
    return async (signal, onProgress) => {
      const saved = await asked.client.call(
        'save',
        { format, target, salvage: salvage.checked, ...(piece && { part: piece }) },
        { signal: AbortSignal.any([signal, asked.signal]), onProgress },
      );
      const lost = saved.lost > 0 ? ` ${exactSizeText(saved.lost)} could not be read and became zeros.` : '';
      if (!saved.blob) return `Saved as ${saved.name}.${lost}`;
      download(saved.blob, saved.name);
      return `${saved.name} (${sizeText(saved.blob.size)}) was given to the browser's downloads.${lost}`;
    };
  });

  const render = () => {
    const { info, diskSize } = context ?? {};
    const size = savedPart()?.length ?? diskSize;
    const whose = savedPart() ? 'partition' : 'disk';
    const refusal =
      size !== undefined && chosen() === 'vhd' ? vhdRefusal(size, info?.logicalSectorSize ?? 512) : undefined;
    work.enabled = size !== undefined && refusal === undefined;
    if (size === undefined) return;
    if (refusal !== undefined) what.textContent = refusal;
    else if (chosen() === 'raw')
      what.textContent = `The ${whose}'s ${exactSizeText(size)} and nothing else, as dd and emulators take it.${warning(size)}`;
    else if (chosen() === 'vhd')
      what.textContent = `The ${whose}'s ${sizeText(size)} and a footer, as Azure and older Hyper-V take it.${warning(size)}`;
    else what.textContent = `What of the ${whose} is not zero, in one image that needs no parent, as Hyper-V takes it.`;
  };

  /** Says that a browser writes zeros too, where that is most of what it writes. */
  const warning = (size: number): string => {
    const files = context?.opened.chain.map(({ info }) => info.fileSize) ?? [];
    const stored = files.length > 0 ? files.reduce((sum, one) => sum + one) : (context?.file?.size ?? size);
    if (size < 2 * stored) return '';
    return ` A browser writes all of that, zeros too, and needs the space for it; what is stored is at most ${sizeText(stored)}, and a VHDX has no more.`;
  };

  /** The partition that was chosen; undefined for the whole disk. */
  const savedPart = (): SavedPart | undefined => {
    const { number, offset, length } = partitions[part.selectedIndex - 1] ?? {};
    return offset === undefined || length === undefined ? undefined : { offset, length, suffix: `-p${number}` };
  };

  const offerPartitions = async (shown: Context): Promise<void> => {
    const table = await shown.partitions();
    if (context !== shown) return;
    partitions = table.partitions.filter(({ offset, length }) => offset + length <= (shown.diskSize ?? 0));
    const options = partitions.map(({ number, name, fileSystem, length }) => {
      const what = name ?? fileSystem?.label ?? fileSystem?.name;
      return el('option', {}, `Partition ${number}${what ? `, ${what}` : ''}: ${sizeText(length)}`);
    });
    part.replaceChildren(el('option', {}, 'The whole disk'), ...options);
    of.hidden = partitions.length === 0;
  };

  for (const choice of [...choices, part]) choice.addEventListener('change', render);

  return {
    show(shown) {
      context = shown;
      partitions = [];
      part.replaceChildren();
      of.hidden = true;
      work.reset();
      if (shown.diskSize !== undefined) offerPartitions(shown).catch(() => undefined); // the panel of the partitions says why
      render();
    },
  };
}

function vhdRefusal(size: number, sectorSize: number): string | undefined {
  if (sectorSize !== 512) return 'A VHD has sectors of 512 bytes; this disk has sectors of 4,096.';
  return size > LARGEST_VHD ? `A VHD holds at most 2,040 GiB; this disk has ${sizeText(size)}.` : undefined;
}
