// SPDX-License-Identifier: MIT
// The heatmap of one group: time across, delay up on a log scale, and the share of time as
// the strength of the colour, whose hue tells what is as long as a stall. Stalls are marked
// below it, as long tasks are in a profile of a browser, and the age of those that last
// climbs in it.

import { count, keep, make, minute, percent, seconds, setText, time } from '/web/words.js';

const COLUMNS = 180, COLUMN_MS = 5000, SPAN_MS = COLUMNS * COLUMN_MS;
const LEFT = 54, RIGHT = 5, BOTTOM = 20, LANE = 14, TOP = 6;
// Up to a second there is always room; less than this share is drawn no fainter.
const LEAST_ROWS = 14, FAINTEST = 1e-4;
const LABELS = [0.001, 0.01, 0.1, 1, 10, 60];
const canvas = document.getElementById('heatmap');
const readout = document.getElementById('readout');
let latest = null, cursor = null, shape = null, colours = null;

function readColours() {
    const style = getComputedStyle(document.documentElement);
    const names = ['text', 'muted', 'grid', 'calm', 'hot', 'worst', 'bad', 'gap'];
    return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

function stallsHere() {
    return [...latest.stalls.values()].filter((stall) => stall.groupname === latest.group
        && stall.began + stall.seconds * 1e3 > latest.now() - SPAN_MS);
}

const age = (stall) => stall.open ? (latest.now() - stall.began) / 1e3 : stall.seconds;

function measure(columns, stalls) {
    const width = canvas.clientWidth - RIGHT, height = canvas.clientHeight;
    const longest = Math.max(0, ...stalls.filter((stall) => stall.open).map(age));
    let rows = Math.max(LEAST_ROWS, Math.ceil(Math.log2(Math.max(longest, 1e-4)) + 14));
    for (const column of columns)
        rows = Math.max(rows, column ? column.length + 1 : 0);
    rows = Math.min(rows, latest.shares.bounds.length + 1 || LEAST_ROWS);
    const floor = height - BOTTOM - LANE - 4;
    const step = (floor - TOP) / rows;
    const end = latest.now();
    return { width, height, rows, floor, step, end,
        x: (ms) => LEFT + (width - LEFT) * (ms - end + SPAN_MS) / SPAN_MS,
        // Row i ends at 2^(i - 12) s.
        y: (s) => floor - step * Math.max(0, Math.min(rows, Math.log2(Math.max(s, 1e-5)) + 13)) };
}

function drawAxes(context, { width, rows, floor, x, y, end }) {
    context.font = '11px system-ui, sans-serif';
    context.fillStyle = colours.muted;
    context.strokeStyle = colours.grid;
    context.lineWidth = 1;
    context.textBaseline = 'middle';
    context.textAlign = 'right';
    for (const label of LABELS.filter((s) => Math.log2(s) + 13 <= rows)) {
        const at = Math.round(y(label)) + 0.5;
        context.beginPath();
        context.moveTo(LEFT, at);
        context.lineTo(width, at);
        context.stroke();
        context.fillText(label < 1 ? `${label * 1e3} ms` : `${label} s`, LEFT - 6, at);
    }
    context.textAlign = 'center';
    context.textBaseline = 'top';
    const every = (width < 500 ? 5 : width < 900 ? 3 : 1) * 60000;
    for (let at = Math.ceil((end - SPAN_MS) / every) * every; at <= end; at += every)
        if (x(at) > LEFT + 14 && x(at) < width - 16)
            context.fillText(minute(at), x(at), floor + LANE + 8);
}

function drawColumns(context, columns, { rows, floor, step, x, y, width }) {
    const { status, history } = latest;
    const threshold = y(status.stall_threshold_seconds);
    columns.forEach((column, i) => {
        const begin = history.end - (COLUMNS - i) * COLUMN_MS;
        const left = Math.max(LEFT, Math.round(x(begin)));
        const right = Math.min(width, Math.round(x(begin + COLUMN_MS)));
        if (right <= left)
            return;
        if (!column) {
            context.fillStyle = colours.gap;
            context.fillRect(left, floor - rows * step, right - left, rows * step);
            return;
        }
        column.forEach((share, row) => {
            if (!share || row >= rows)
                return;
            const top = Math.round(floor - (row + 1) * step), bottom = Math.round(floor - row * step);
            const above = (threshold - top) / step;
            const strength = Math.max(0, 1 + Math.log10(Math.max(share, FAINTEST)) / 4);
            context.globalAlpha = 0.15 + 0.85 * strength;
            context.fillStyle = above < 0.5 ? colours.calm : above < 4 ? colours.hot : colours.worst;
            context.fillRect(left, top, right - left, bottom - top);
        });
        context.globalAlpha = 1;
    });
    context.strokeStyle = colours.bad;
    context.setLineDash([4, 4]);
    context.beginPath();
    context.moveTo(LEFT, Math.round(threshold) + 0.5);
    context.lineTo(width, Math.round(threshold) + 0.5);
    context.stroke();
    context.setLineDash([]);
}

// Hatched while it lasts.
function hatch(context, left, top, width, height) {
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    context.lineWidth = 2;
    context.beginPath();
    for (let x = left - height; x < left + width; x += 6) {
        context.moveTo(x, top + height);
        context.lineTo(x + height, top);
    }
    context.stroke();
    context.restore();
    context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
}

// How old it is at each moment of its life.
function climb(context, stall, { x, y, end }) {
    context.lineWidth = 2;
    context.beginPath();
    for (let i = 0; i <= 40; i++) {
        const at = stall.began + (end - stall.began) * (i / 40) ** 2;
        if (x(at) >= LEFT)
            context.lineTo(x(at), y((at - stall.began) / 1e3));
    }
    context.stroke();
    context.beginPath();
    context.arc(x(end), y(age(stall)), 4, 0, 7);
    context.fill();
    context.lineWidth = 1;
}

function drawStalls(context, stalls, shape) {
    const { floor, x, end } = shape;
    context.fillStyle = context.strokeStyle = colours.bad;
    for (const stall of stalls) {
        const left = Math.max(LEFT, x(stall.began));
        const right = Math.max(left + 2, x(stall.open ? end : stall.began + stall.seconds * 1e3));
        if (!stall.open) {
            context.fillRect(left, floor + 3, right - left, LANE);
            continue;
        }
        hatch(context, left, floor + 3, right - left, LANE);
        climb(context, stall, shape);
    }
}

function words(i) {
    const { history, shares, status, group } = latest;
    const known = history.groups.get(group);
    const end = history.end - (COLUMNS - 1 - i) * COLUMN_MS;
    const when = `${time(end - COLUMN_MS)} to ${time(end)}`;
    if (!known || known.max[i] === null)
        return `${when}: nothing known`;
    const column = shares.group === group && shares.columns[i];
    const threshold = status.stall_threshold_seconds;
    let long = 0;
    if (column)
        column.forEach((share, row) => {
            long += row && shares.bounds[row - 1] >= threshold * 0.99 ? share : 0;
        });
    return `${when}: p99 ${seconds(known.p99[i])}, longest ${seconds(known.max[i])}`
        + (long ? `, later than ${seconds(threshold)} for ${percent(long)} of the time` : '');
}

function drawCursor(context, { floor, x }) {
    if (cursor === null)
        return;
    const begin = latest.history.end - (COLUMNS - cursor) * COLUMN_MS;
    context.strokeStyle = colours.text;
    context.strokeRect(Math.round(x(begin)) + 0.5, TOP + 0.5,
        Math.max(2, x(begin + COLUMN_MS) - x(begin)), floor - TOP);
}

function draw() {
    const { shares, group, status, history } = latest;
    const columns = shares.group === group ? shares.columns : [];
    const stalls = stallsHere(), ratio = devicePixelRatio || 1;
    const context = canvas.getContext('2d');
    colours = readColours();
    shape = measure(columns, stalls);
    const size = [Math.round(canvas.clientWidth * ratio), Math.round(shape.height * ratio)];
    if (canvas.width !== size[0] || canvas.height !== size[1])
        [canvas.width, canvas.height] = size;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, canvas.clientWidth, shape.height);
    drawColumns(context, columns, shape);
    drawAxes(context, shape);
    drawStalls(context, stalls, shape);
    drawCursor(context, shape);
    const known = history.groups.get(group);
    const open = stalls.filter((stall) => stall.open);
    const worst = known ? Math.max(0, ...known.max) : 0;
    setText(document.getElementById('summary'), `${seconds(status.stall_threshold_seconds)} and `
        + `more is a stall. In the last 15 minutes ${count(stalls.length, 'stall', 'stalls')}, `
        + `longest ${seconds(Math.max(worst, ...stalls.map(age)))}`
        + (open.length ? `; ${count(open.length, 'loop is', 'loops are')} stalled now` : '') + '.');
}

function read() {
    const text = cursor === null ? '' : words(cursor);
    setText(readout, text || '\u00a0');
    canvas.setAttribute('aria-valuemin', '0');
    canvas.setAttribute('aria-valuemax', String(COLUMNS - 1));
    canvas.setAttribute('aria-valuenow', String(cursor ?? COLUMNS - 1));
    canvas.setAttribute('aria-valuetext', text || words(COLUMNS - 1));
}

// For each minute the worst of its columns.
function showMinutes() {
    const known = latest.history.groups.get(latest.group);
    const stalls = stallsHere(), rows = [];
    for (let end = COLUMNS; known && end > 0; end -= 12) {
        const until = latest.history.end - (COLUMNS - end) * COLUMN_MS, since = until - 60000;
        const worst = (list) => list.slice(end - 12, end).reduce((a, b) =>
            b === null ? a : Math.max(a ?? 0, b), null);
        rows.push([`${minute(since)} to ${minute(until)}`, seconds(worst(known.p99)),
            seconds(worst(known.max)),
            String(stalls.filter((stall) => stall.began >= since && stall.began < until).length)]);
    }
    keep(document.querySelector('#minutes tbody'), rows.map((row, i) => [i, row]), (row) => row[0],
        () => make('tr', {}, make('th', { scope: 'row' }), ...[0, 1, 2].map(() =>
            make('td', { class: 'number' }))),
        (element, [, row]) => row.forEach((text, i) => setText(element.children[i], text)));
}

export function showHeatmap(state) {
    latest = state;
    const name = state.group;
    setText(document.getElementById('delay-title'), name === null ? 'Delay' : `Delay of ${name}`);
    canvas.setAttribute('aria-label', `Delay of ${name} over 15 minutes; arrow keys read it`);
    draw();
    read();
    showMinutes();
}

function move(to) {
    cursor = to === null ? null : Math.max(0, Math.min(COLUMNS - 1, to));
    if (!latest)
        return;
    draw();
    read();
}

const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageUp: 12, PageDown: -12,
    Home: -COLUMNS, End: COLUMNS };
canvas.addEventListener('keydown', (event) => {
    if (event.key === 'Escape')
        move(null);
    if (!(event.key in STEPS))
        return;
    event.preventDefault();
    move((cursor ?? COLUMNS - 1) + STEPS[event.key]);
});
canvas.addEventListener('pointermove', (event) => {
    if (!shape || event.offsetX < LEFT)
        return;
    const ms = shape.end - SPAN_MS + SPAN_MS * (Math.min(event.offsetX, shape.width) - LEFT)
        / (shape.width - LEFT);
    move(COLUMNS - 1 - Math.floor((latest.history.end - ms) / COLUMN_MS));
});
canvas.addEventListener('pointerleave', () => move(null));
canvas.addEventListener('blur', () => move(null));
