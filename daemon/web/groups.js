// SPDX-License-Identifier: MIT
// The table of groups: a row each, with what its worst loop's delay is and was.

import { groupLink, keep, level, make, seconds, setText } from '/web/words.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 180, HEIGHT = 24;
// The least and the most delay that a sparkline tells apart, in seconds.
const LEAST = 0.001, MOST = 10;
const table = document.getElementById('groups');
const headers = [...table.querySelectorAll('th[data-sort]')];
let sorted = 'p99', falling = true, latest = null;

const value = {
    name: (group) => group.groupname,
    p50: (group) => group.p50 ?? -1, p99: (group) => group.p99 ?? -1,
    max: (group) => group.max ?? -1, stalls: (group) => group.stalls,
    loops: (group) => group.loops.length,
};

function compare(a, b) {
    const x = value[sorted](a), y = value[sorted](b);
    // What is stuck now comes first in any case.
    const open = (b.open > 0) - (a.open > 0);
    const order = x < y ? -1 : x > y ? 1 : 0;
    return open || (falling ? -order : order) || (a.groupname < b.groupname ? -1 : 1);
}

function y(delay) {
    const part = Math.log(Math.max(delay, LEAST) / LEAST) / Math.log(MOST / LEAST);
    return (HEIGHT - 2) * (1 - Math.min(part, 1)) + 1;
}

// p99 as a line with what is above the threshold marked; a gap where nothing is known.
function draw(svg, history, threshold) {
    let line = '', marks = '', drawing = false;
    history.p99.forEach((delay, x) => {
        if (delay !== null)
            line += `${drawing ? 'L' : 'M'}${x} ${y(delay).toFixed(1)}${drawing ? '' : 'h.5'}`;
        drawing = delay !== null;
        if (history.max[x] >= threshold)
            marks += `M${x} ${HEIGHT}V${y(history.max[x]).toFixed(1)}`;
    });
    svg.children[0].setAttribute('d', marks);
    svg.children[1].setAttribute('d', line);
}

function createRow(group) {
    const svg = document.createElementNS(SVG, 'svg');
    svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute('preserveAspectRatio', 'none');
    svg.setAttribute('aria-hidden', 'true');
    for (const name of ['marks', 'line']) {
        const path = document.createElementNS(SVG, 'path');
        path.setAttribute('class', name);
        svg.append(path);
    }
    const link = make('a', { href: groupLink(group.groupname) }, group.groupname);
    return make('tr', {}, make('th', { scope: 'row' }, link, make('span', { class: 'stuck' })),
        ...['number', 'number', 'number', 'trend', 'number', 'number wide', 'wide']
            .map((name) => make('td', { class: name }, ...(name === 'trend' ? [svg] : []))));
}

function updateRow(row, group) {
    const { status, history } = latest;
    const threshold = status.stall_threshold_seconds;
    const [name, p50, p99, max, trend, stalls, loops, runtime] = row.children;
    for (const [cell, key] of [[p50, 'p50'], [p99, 'p99'], [max, 'max']]) {
        setText(cell, seconds(group[key]));
        cell.className = `number ${level(group[key], threshold)}`;
    }
    setText(name.lastChild, group.open > 0 ? `stalled for ${seconds(group.open)}` : '');
    setText(stalls, String(group.stalls));
    setText(loops, String(group.loops.length));
    setText(runtime, group.runtime || '–');
    row.classList.toggle('open', group.open > 0);
    if (group.groupname === latest.group)
        row.setAttribute('aria-current', 'true');
    else
        row.removeAttribute('aria-current');
    const known = history.groups.get(group.groupname);
    if (known && row.last !== history.last)
        draw(trend.firstChild, known, threshold);
    row.last = history.last;
}

function render() {
    for (const header of headers)
        if (header.dataset.sort === sorted)
            header.setAttribute('aria-sort', falling ? 'descending' : 'ascending');
        else
            header.removeAttribute('aria-sort');
    keep(table.tBodies[0], [...latest.groups].sort(compare), (group) => group.groupname,
        createRow, updateRow);
}

export function showGroups(state) {
    latest = state;
    const others = state.groups.some((group) => group.groupname !== 'looplagd');
    document.getElementById('no-groups').hidden = others;
    render();
}

for (const header of headers)
    header.firstElementChild.addEventListener('click', () => {
        falling = sorted === header.dataset.sort ? !falling : header.dataset.sort !== 'name';
        sorted = header.dataset.sort;
        if (latest)
            render();
    });
