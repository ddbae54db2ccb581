import type { CheckStatus, Finding, Severity } from '../../src/index.js';
import { byId, el, reachable } from '../dom.js';
import type { CheckSummary, FindingGroup } from '../protocol.js';
import { countText, hexText, plural, sentence, shareText, sizeText } from '../wording.js';
import { type Context, type Panel, sentenceOf } from './panel.js';
import { ReportButtons } from './report.js';
import { virtualList } from './virtual-list.js';

/** What a verdict says; the marks are for people who do not tell the colours apart. */
const VERDICTS: Readonly<Record<CheckStatus, readonly [mark: string, title: string, meaning: string]>> = {
  sound: ['✓', 'Sound', 'Nothing is wrong with this image.'],
  repairable: ['!', 'Worth a repair', 'All data is there; something about the image breaks the specification.'],
  corrupt: ['✕', 'Damaged', 'Some of its data is lost or in doubt.'],
  incomplete: ['!', 'Without its parent', 'What this image did not change is in a file that is not available.'],
  unreadable: ['✕', 'Does not open', 'It is unknown what its bytes mean.'],
};

const GRADES: Readonly<Record<Severity, string>> = {
  fatal: 'Fatal',
  block: 'Damage',
  warning: 'Warning',
  info: 'Note',
};

/** One and many of a grade. */
const TALLY: Readonly<Record<Severity, readonly [string, string]>> = {
  fatal: ['fatal fault', 'fatal faults'],
  block: ['damaged place', 'damaged places'],
  warning: ['warning', 'warnings'],
  info: ['note', 'notes'],
};

/** Whether findings are about a file that is not here, and not about one that is. */
const isGap = ({ code }: FindingGroup) => code === 'parent-missing';

/** Up to this many places are simply all listed. */
const PLAIN = 20;

/** The panel with what a check found, and the verdict beside the disk's name. */
export function findingsPanel(): Panel {
  const verdict = byId('verdict', HTMLParagraphElement);
  const state = byId('findings-state', HTMLParagraphElement);
  const list = reachable(byId('findings-list', HTMLElement));
  const report = new ReportButtons();

  const tell = (status: string, mark: string, text: string) => {
    verdict.dataset['status'] = status;
    verdict.replaceChildren(el('span', { class: 'mark', 'aria-hidden': 'true' }, mark), ` ${text}`);
  };

  const render = (summary: CheckSummary, context: Context) => {
    const { status } = summary;
    const [mark, title, meaning] = VERDICTS[status];
    tell(status, mark, title);
    const counts = { ...summary.counts };
    // The verdict says it already, and nothing is damaged by it.
    for (const group of summary.groups) if (isGap(group)) counts[group.severity] -= group.count;
    const grades = (['fatal', 'block', 'warning', 'info'] as const).filter((grade) => counts[grade] > 0);
    const tally = grades.map((grade) => plural(counts[grade], ...TALLY[grade])).join(', ');
    state.textContent = tally === '' ? meaning : `${sentence(tally)} ${meaning}`;
    list.replaceChildren(...summary.groups.map((group) => groupElement(group, context)));
    report.offer(context);
    context.announce(`Checked: ${title}. ${meaning}`);
  };

  return {
    show(context) {
      tell('pending', '…', 'Checking');
      state.textContent = 'Checking everything that can be checked without reading the data…';
      list.replaceChildren();
      report.reset();
      const { client, signal } = context;
      const onProgress = ({ done, total }: { done: number; total: number }) =>
        tell('pending', '…', `Checking, ${shareText(done, total)}`);
      client.call('check', null, { signal, onProgress }).then(
        (summary) => render(summary, context),
        (error) => {
          const reason = sentenceOf(error);
          if (reason === undefined) return;
          tell('unknown', '?', 'Not checked');
          state.textContent = `The check could not be finished. ${reason}`;
        },
      );
    },
  };
}

function groupElement(group: FindingGroup, context: Context): HTMLElement {
  const { code, severity, spec, meaning, count, file } = group;
  const where = file === undefined ? '' : `${file}: `;
  const details = el(
    'details',
    { class: 'finding', 'data-severity': isGap(group) ? 'warning' : severity },
    el(
      'summary',
      {},
      el('span', { class: 'grade' }, isGap(group) ? 'Missing' : GRADES[severity]),
      el('span', { class: 'meaning' }, `${where}${meaning}`),
      el('span', { class: 'code' }, `${code} · [MS-VHDX] ${spec} · ${plural(count, 'place')}`),
    ),
  );
  details.addEventListener('toggle', () => {
    if (details.open && details.childElementCount === 1) details.append(...places(group, context));
  });
  return details;
}

/** The places of a group: a few as they are, many in a list that only has those in sight. */
function places(group: FindingGroup, context: Context): HTMLElement[] {
  const { client, signal } = context;
  const rows = async (from: number, to: number) => {
    const findings = await client.call('findings', { group: group.key, from, to }, { signal });
    return findings.map((finding) => placeElement(finding, group, context));
  };
  const elements: HTMLElement[] = [];
  if (group.listed > PLAIN) {
    elements.push(virtualList(group.listed, `Places: ${group.meaning}`, rows));
  } else {
    const list = el('ul', { class: 'rows plain' });
    elements.push(list);
    rows(0, group.listed).then(
      (contents) => list.replaceChildren(...contents.map((content) => el('li', {}, content))),
      (error) => list.replaceChildren(el('li', {}, sentenceOf(error) ?? '')),
    );
  }
  if (group.count > group.listed) {
    elements.push(
      el(
        'p',
        { class: 'hint' },
        `The first ${countText(group.listed)} are listed; there are ${countText(group.count - group.listed)} more.`,
      ),
    );
  }
  return elements;
}

function placeElement(finding: Finding, group: FindingGroup, context: Context): Node {
  const { structure, message, offset, facts } = finding;
  const { showOnMap } = context;
  const content = el('div', { class: 'place' }, el('span', { class: 'text' }, el('b', {}, structure), `: ${message}`));
  const ofSubject = group.file === undefined || group.file === context.opened.chain[0]?.name;
  if (offset !== undefined && ofSubject) {
    content.append(
      ' ',
      placeButton('File', offset, `Show the bytes of the file at ${hexText(offset)}`, () =>
        context.showBytes('file', offset),
      ),
    );
  }
  const range = facts?.range;
  if (range && showOnMap) {
    content.append(
      ' ',
      placeButton(
        'Disk',
        range.offset,
        `Show the ${sizeText(range.length)} of the disk at ${hexText(range.offset)} on the map`,
        () => showOnMap(range.offset, range.length),
      ),
    );
  }
  return content;
}

function placeButton(what: string, offset: number, label: string, onclick: () => void): HTMLElement {
  return el('button', { type: 'button', class: 'small', onclick, 'aria-label': label }, `${what} ${hexText(offset)}`);
}
