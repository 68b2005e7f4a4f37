// SPDX-License-Identifier: MIT
// Stalls, those of the same code path together: how many, how long, why, and where.

import { guilty, keep, make, percent, place, seconds, setText, time }
    from '/web/words.js';

// Of one code path, the newest.
const SHOWN = 10;
const CAUSES = { cpu: 'it was computing', blocked: 'it waited in a system call',
    nested_wait: 'it waited for something within the callback',
    gil: 'it waited for Python\u2019s interpreter lock', starved: 'it got no processor',
    stopped: 'it was stopped' };
const list = document.getElementById('stalls');
const gone = document.getElementById('gone');
let latest = null, followed = null, unfolded = null;

const lasted = (stall) => stall.open ? (latest.now() - stall.began) / 1e3 : stall.seconds;

// Stalls by the code that was at work, or by the cause where that is not known.
function gather(stalls) {
    const paths = new Map();
    for (const stall of stalls) {
        const key = [stall.groupname, stall.stack_id || `${stall.cause} ${stall.system_call}`].join('\n');
        const path = paths.get(key) || { key, stalls: [], total: 0, longest: 0, open: 0, last: 0 };
        paths.set(key, path);
        path.stalls.push(stall);
        path.total += lasted(stall);
        path.longest = Math.max(path.longest, lasted(stall));
        path.open += stall.open;
        path.last = Math.max(path.last, stall.began);
    }
    for (const path of paths.values()) {
        path.stalls.sort((a, b) => b.id - a.id);
        path.sample = path.stalls.find((stall) => stall.stack.length) || path.stalls[0];
    }
    // What has no stack is no code path.
    const known = (path) => path.sample.stack.length > 0;
    return [...paths.values()].sort((a, b) => (b.open > 0) - (a.open > 0)
        || known(b) - known(a) || b.total - a.total);
}

function heading(sample) {
    const frame = guilty(sample.stack);
    if (frame)
        return [frame.function || '(anonymous)', place(frame)];
    return [sample.system_call ? `in ${sample.system_call}()` : 'no stack',
        sample.open && !sample.missing ? 'being looked for' : sample.missing || ''];
}

function createPath() {
    const labelled = (label, name) => make('span', { class: `number ${name}` },
        make('span', { class: 'label' }, `${label} `), make('b'));
    return make('li', {}, make('details', {}, make('summary', {},
        make('span', { class: 'where' }, make('b'), ' ', make('span', { class: 'place' })),
        make('span', { class: 'cause' }), make('span', { class: 'group' }),
        labelled('count', 'count'), labelled('total', 'total'), labelled('longest', 'longest'),
        labelled('last', 'last')),
    make('p', { class: 'why' }), make('ol', { class: 'stack', 'aria-label': 'Stack, innermost first' }),
    make('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Single stalls' }, make('table', {},
        make('thead', {}, make('tr', {}, ...['Stall', 'Began', 'Lasted', 'Cause', 'Loop', 'Process']
            .map((name) => make('th', { scope: 'col' }, name)))), make('tbody')))));
}

function updateFrames(ol, sample) {
    const blamed = guilty(sample.stack);
    const key = `${sample.stack_id} ${sample.stack.length}`;
    if (ol.key === key)
        return;
    ol.key = key;
    ol.replaceChildren(...sample.stack.map((frame) => make('li',
        { class: frame === blamed ? `${frame.lang} guilty` : frame.lang },
        make('b', {}, frame.function || '(anonymous)'), ' ', make('span', { class: 'place' }, place(frame)))));
}

function shares(stall) {
    return Object.entries(stall.shares).sort((a, b) => b[1] - a[1])
        .map(([cause, share]) => `${cause} ${percent(share)}`).join(', ') || stall.cause;
}

function updateRow(row, stall) {
    const texts = [`#${stall.id}`, time(stall.began),
        stall.open ? `${seconds(lasted(stall))}, lasts` : seconds(stall.seconds), shares(stall),
        stall.loop, stall.pid ? String(stall.pid) : 'unknown'];
    texts.forEach((text, i) => setText(i ? row.children[i] : row.firstChild.firstChild, text));
    row.classList.toggle('open', stall.open);
    row.classList.toggle('followed', stall.id === latest.stall);
}

function updatePath(item, path) {
    const details = item.firstChild;
    const [summary, why, stack, scroll] = details.children;
    const { sample } = path;
    const [where, cause, group, ...numbers] = summary.children;
    const [what, at] = heading(sample);
    setText(where.firstChild, what);
    setText(where.lastChild, at);
    setText(cause, sample.cause);
    cause.className = `cause ${sample.cause}`;
    setText(group, path.open ? `${sample.groupname}, stalled now` : sample.groupname);
    [`${path.stalls.length}\u00d7`, seconds(path.total), seconds(path.longest), time(path.last)]
        .forEach((text, i) => setText(numbers[i].lastChild, text));
    item.classList.toggle('open', path.open > 0);
    if (!details.open)
        return;
    const call = sample.system_call ? `, last in ${sample.system_call}()` : '';
    setText(why, `${sample.cause}: ${CAUSES[sample.cause] || 'the cause is not known'}${call}.`
        + (sample.late ? ' The stack was taken late and shows the caller.' : '')
        + (path.stalls.length > SHOWN ? ` The last ${SHOWN} of ${path.stalls.length}:` : ''));
    updateFrames(stack, sample);
    keep(scroll.querySelector('tbody'), path.stalls.slice(0, SHOWN), (stall) => stall.id,
        (stall) => make('tr', { id: `stall=${stall.id}` },
            make('th', { scope: 'row' }, make('a', { href: `#stall=${stall.id}` }, '')),
            ...[1, 2, 3, 4, 5].map(() => make('td'))), updateRow);
}

// Show the stall that a link leads to.
function follow() {
    const stall = latest.stalls.get(latest.stall);
    gone.hidden = latest.stall === null || Boolean(stall);
    if (!gone.hidden)
        setText(gone, `Stall #${latest.stall} is not known any more.`);
    if (!stall || followed === latest.stall)
        return;
    latest.lookAt(stall.groupname);
    for (const item of list.children)
        if (item.path.stalls.includes(stall)) {
            followed = latest.stall;
            item.firstChild.open = true;
            updatePath(item, item.path);
            item.scrollIntoView({ block: 'start' });
            item.querySelector('summary').focus({ preventScroll: true });
        }
}

export function showStalls(state) {
    latest = state;
    if (state.stall === null)
        followed = null;
    const stalls = [...state.stalls.values()].filter((stall) => state.all
        || stall.groupname === state.group || stall.id === state.stall);
    const paths = gather(stalls);
    document.getElementById('no-stalls').hidden = paths.length > 0;
    setText(document.getElementById('no-stalls'), state.all || state.group === null
        ? 'No stall is known.' : `No stall of ${state.group} is known.`);
    keep(list, paths, (path) => path.key, () => {
        const item = createPath();
        item.firstChild.addEventListener('toggle', () => updatePath(item, item.path));
        return item;
    }, (item, path) => {
        item.path = path;
        updatePath(item, path);
    });
    // The worst one need not be looked for, in another group neither, nor when what was open
    // without a stack has got one and is another path.
    if (paths.length && !unfolded?.isConnected) {
        unfolded = list.firstElementChild;
        unfolded.firstChild.open = true;
    }
    follow();
}
