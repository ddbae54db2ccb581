import type { DiskInfo } from '../../src/index.js';
import { byId, el } from '../dom.js';
import type { Opened } from '../protocol.js';
import { countText, exactSizeText, plural, sizeText } from '../wording.js';
import { factSections } from './facts.js';
import type { Context, Panel } from './panel.js';

/** The types in the words of Hyper-V Manager. */
const TYPES: Readonly<Record<DiskInfo['type'], string>> = {
  fixed: 'Fixed size virtual hard disk',
  dynamic: 'Dynamically expanding virtual hard disk',
  differencing: 'Differencing virtual hard disk',
};

/** The panel that says what an image is, in the terms of Hyper-V Manager, with everything else one click away. */
export function overviewPanel(): Panel {
  const list = byId('overview-list', HTMLDListElement);
  const chain = byId('chain', HTMLDivElement);
  const allFacts = byId('all-facts', HTMLDetailsElement);
  const body = byId('all-facts-body', HTMLDivElement);
  let current: Context | undefined;

  // Made when it is wanted: a chain of many members has many facts.
  const fill = () => {
    if (allFacts.open && current) body.replaceChildren(...factSections(current.opened.chain));
  };
  allFacts.addEventListener('toggle', fill);

  return {
    show(context) {
      current = context;
      const { info, opened } = context;
      allFacts.hidden = info === undefined;
      body.replaceChildren();
      list.replaceChildren(...(info ? diskRows(info) : unreadableRows(context)));
      chain.replaceChildren(...(opened.chain.length > 1 || opened.missing ? [chainList(opened)] : []));
      fill();
    },
  };
}

function row(term: string, ...description: readonly (Node | string)[]): HTMLElement {
  return el('div', {}, el('dt', {}, term), el('dd', {}, ...description));
}

function diskRows(info: DiskInfo): HTMLElement[] {
  const { logicalSectorSize, physicalSectorSize, log } = info;
  const emulation =
    logicalSectorSize === 512 && physicalSectorSize === 4096
      ? ' (512e)'
      : logicalSectorSize === 4096
        ? ' (4K native)'
        : '';
  const sectors =
    logicalSectorSize === physicalSectorSize
      ? `${countText(logicalSectorSize)} bytes${emulation}`
      : `${countText(logicalSectorSize)} bytes, physically ${countText(physicalSectorSize)}${emulation}`;
  const replay =
    log.replay &&
    `${plural(log.replay.entries, 'entry', 'entries')} of its log ${log.replay.entries === 1 ? 'was' : 'were'} replayed in memory`;
  return [
    row('Format', 'VHDX'),
    row('Type', TYPES[info.type]),
    row('Maximum disk size', exactSizeText(info.virtualSize)),
    row('Current file size', exactSizeText(info.fileSize)),
    row('Block size', `${sizeText(info.blockSize)}, ${plural(info.payloadBlocks, 'block')}`),
    row('Sector size', sectors),
    row(
      'Last closed',
      log.dirty ? `not cleanly; ${replay ?? 'its log is in use'}, and the file is left as it is` : 'cleanly',
    ),
    row('Made by', info.creator || 'not said'),
    row('Disk identifier', info.virtualDiskId ?? 'none'),
  ];
}

function unreadableRows({ opened }: Context): HTMLElement[] {
  return [row('Format', 'Not an image that opens'), row('Why', opened.problem?.sentence ?? '')];
}

function chainList({ chain, missing }: Opened): HTMLElement {
  const items = chain.map(({ name, info }, depth) => {
    const role = depth === 0 ? 'this disk' : depth === chain.length - 1 && !missing ? 'base' : 'parent';
    return el(
      'li',
      {},
      el('span', { class: 'name' }, name),
      ` ${role}, ${info.type}, file of ${sizeText(info.fileSize)}`,
    );
  });
  if (missing) {
    const name = el('span', { class: 'name' }, missing.name ?? 'A parent');
    items.push(el('li', { class: 'absent' }, name, ' is missing'));
  }
  const title = missing ? 'Chain, incomplete' : 'Chain';
  return el('section', {}, el('h4', {}, title), el('ol', { class: 'chain' }, ...items));
}
