// SPDX-License-Identifier: MIT
// What is known, kept up to date by asking looplagd about once a second, and which part of it
// is looked at: #group=NAME, #stall=ID.

import { showGroups } from '/web/groups.js';
import { showHeatmap } from '/web/heatmap.js';
import { showStalls } from '/web/stalls.js';
import { count, keep, level, make, seconds, setText, time } from '/web/words.js';

// A stall is to be seen within a second from when it began.
const PERIOD_MS = 800;
// Whoever looks takes at most a quarter of looplagd's time.
const SPARED = 4;
const LONGEST_PAUSE_MS = 15000;
const PATIENCE_MS = 8000;
const COLUMNS = 180;
const STALLS_KEPT = 1000;
// A stack may come a little later than the end of its stall.
const LATE_MS = 5000;
const ALERTS_NAMED = 4;

const state = {
    status: null, groups: [], alerts: [], stalls: new Map(),
    history: { last: 0, end: 0, groups: new Map() },
    shares: { group: null, last: 0, bounds: [], columns: [] },
    group: null, chosen: false, stall: null, all: false,
    now: () => Date.now() + skew,
};
let skew = 0, failures = 0, lostSince = 0, timer = 0, openBefore = 0, settled = false, busy = false;
const $ = (id) => document.getElementById(id);

async function get(path) {
    const answer = await fetch(path, { cache: 'no-store',
        signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok)
        throw new Error(`it answers ${answer.status}`);
    return answer.json();
}

function forget() {
    state.stalls.clear();
    state.history = { last: 0, end: 0, groups: new Map() };
    state.shares = { group: null, last: 0, bounds: [], columns: [] };
}

function takeStatus(status) {
    if (state.status && state.status.started !== status.started)
        forget();
    skew = Date.parse(status.time) - Date.now();
    state.status = status;
}

// The id after which something may be new.
function knownStalls() {
    let known = 0;
    for (const stall of state.stalls.values())
        known = Math.max(known, stall.id);
    for (const stall of state.stalls.values())
        if (stall.open || state.now() - stall.began - stall.seconds * 1e3 < LATE_MS)
            known = Math.min(known, stall.id - 1);
    return known;
}

function takeStalls(stalls) {
    for (const stall of stalls) {
        stall.began = Date.parse(stall.started);
        state.stalls.set(stall.id, stall);
    }
    if (state.stalls.size > STALLS_KEPT) {
        const ids = [...state.stalls.keys()].sort((a, b) => a - b);
        ids.slice(0, -STALLS_KEPT).forEach((id) => state.stalls.delete(id));
    }
}

// The columns known so far and those that are new, up to a quarter of an hour.
function join(before, after) {
    const all = before.concat(after);
    return all.length < COLUMNS ? Array(COLUMNS - all.length).fill(null).concat(all)
        : all.slice(-COLUMNS);
}

function takeHistory(answer) {
    if (!answer.last)
        return;
    const groups = new Map();
    for (const group of answer.groups) {
        const before = state.history.groups.get(group.groupname) || { p99: [], max: [] };
        groups.set(group.groupname,
            { p99: join(before.p99, group.p99), max: join(before.max, group.max) });
    }
    state.history = { last: answer.last, end: Date.parse(answer.end), groups };
}

function takeShares(answer, name) {
    const before = state.shares.group === name ? state.shares.columns : [];
    const [group] = answer.groups;
    if (!answer.last || name !== state.group)
        return;
    state.shares = { group: name, last: answer.last, bounds: answer.bounds,
        columns: join(before, group ? group.shares : []) };
}

// There is a new column five seconds after the last one, or another group is looked at.
async function getHistory() {
    const due = !state.history.last || state.now() - state.history.end > 5500;
    if (due)
        takeHistory(await get(`/api/v1/history?since=${state.history.last}`));
    choose();
    const name = state.group;
    if (name === null || !state.history.last)
        return;
    const since = state.shares.group === name ? state.shares.last : 0;
    if (since !== state.history.last)
        takeShares(await get(`/api/v1/history?since=${since}`
            + `&group=${encodeURIComponent(name)}`), name);
}

// Until somebody chooses: the group that is worst off, which is seldom looplagd itself.
function choose() {
    const worst = (group) => Math.max(group.open * 1e3, group.max || 0,
        ...(state.history.groups.get(group.groupname) || { max: [] }).max)
        - (group.groupname === 'looplagd' ? 1e9 : 0);
    const there = state.groups.some((group) => group.groupname === state.group);
    if (state.chosen || (there && settled))
        return;
    let best = null;
    for (const group of state.groups)
        if (!best || worst(group) > worst(best))
            best = group;
    state.group = best ? best.groupname : null;
    settled = state.history.last > 0;
}

// A row for each group: the worst of its loops.
function takeGroups(groups) {
    for (const group of groups) {
        for (const name of ['p50', 'p99', 'max']) {
            const values = group.loops.filter((loop) => loop.delay).map((loop) => loop.delay[name]);
            group[name] = values.length ? Math.max(...values) : undefined;
        }
        group.stalls = group.loops.reduce((sum, loop) => sum + loop.stalls
            + (loop.open_stall_seconds > 0), 0);
        group.open = Math.max(0, ...group.loops.map((loop) => loop.open_stall_seconds));
    }
    state.groups = groups;
}

const sum = (counts) => Object.values(counts).reduce((a, b) => a + b, 0);
const reasons = (counts) => Object.entries(counts).map(([name, n]) => `${name} ${n}`).join(', ');

// Each alert with the groups that it fires in, if those are not too many.
function alertWords(firing) {
    const groups = new Map();
    for (const { labels } of firing)
        groups.set(labels.alertname, [...groups.get(labels.alertname) || [], labels.groupname]);
    return [...groups].map(([name, where]) => `${name} in ${where.slice(0, ALERTS_NAMED).join(', ')}`
        + (where.length > ALERTS_NAMED ? ` and ${where.length - ALERTS_NAMED} more` : '')).join('; ');
}

function showHealth() {
    const { status } = state;
    const open = [...state.stalls.values()].filter((stall) => stall.open);
    const longest = Math.max(0, ...open.map((stall) => state.now() - stall.began)) / 1e3;
    const firing = state.alerts.filter((alert) => alert.state === 'firing');
    const own = state.groups.find((group) => group.groupname === 'looplagd');
    const tiles = [
        ['Stalled now', open.length ? count(open.length, 'loop', 'loops') : 'none',
            open.length ? `longest ${seconds(longest)}` : '', open.length ? 'bad' : 'good'],
        ['Alerts firing', firing.length ? String(firing.length) : 'none',
            alertWords(firing), firing.length ? 'bad' : 'good'],
        ['looplagd, own p99', own ? seconds(own.p99) : '–', own ? `max ${seconds(own.max)}` : '',
            own && level(own.p99, status.stall_threshold_seconds)],
        ['Rejected', String(sum(status.rejected)), reasons(status.rejected),
            sum(status.rejected) ? 'warn' : ''],
        ['Loops left out', String(sum(status.dropped)), reasons(status.dropped),
            sum(status.dropped) ? 'warn' : ''],
        ['Configuration', status.configuration.good ? 'good' : 'has a mistake',
            status.configuration.good ? `read ${time(Date.parse(status.configuration.read))}`
                : 'the one before is in use', status.configuration.good ? '' : 'bad'],
    ];
    keep($('health'), tiles, (tile) => tile[0],
        (tile) => make('div', {}, make('dt', {}, tile[0]), make('dd'), make('dd', { class: 'more' })),
        (element, [, value, more, mood]) => {
            element.className = mood || '';
            setText(element.children[1], value);
            setText(element.children[2], more);
        });
    const words = open.length ? `(${open.length} stalled) ` : '';
    document.title = `${words}looplag ${location.host}`;
    if (open.length !== openBefore)
        setText($('news'), open.length
            ? `${count(open.length, 'loop is', 'loops are')} stalled: `
                + [...new Set(open.map((stall) => stall.groupname))].join(', ')
            : 'No loop is stalled any more.');
    openBefore = open.length;
}

function show() {
    if (!state.status)
        return;
    showHealth();
    showGroups(state);
    showHeatmap(state);
    showStalls(state);
}

function showConnection(error) {
    $('connection').className = error ? 'lost' : 'live';
    setText($('connection'), error ? 'not reached' : `live, ${time(state.now())}`);
    document.body.classList.toggle('stale', Boolean(error));
    $('lost').hidden = !error;
    if (error)
        setText($('lost'), `looplagd at ${location.host} cannot be reached since `
            + `${time(lostSince)}: ${error.name === 'TypeError' ? 'no connection'
                : error.name === 'TimeoutError' ? 'no answer' : error.message}. `
            + 'What is shown is older. Trying again.');
}

async function ask() {
    const [status, groups, stalls, alerts] = await Promise.all([
        get('/api/v1/status'), get('/api/v1/groups'),
        get(`/api/v1/stalls?since=${knownStalls()}`), get('/api/v1/alerts')]);
    const restarted = state.status && state.status.started !== status.started;
    takeStatus(status);
    takeGroups(groups.groups);
    state.alerts = alerts.data.alerts;
    // Ids begin again with a looplagd.
    takeStalls(restarted ? (await get('/api/v1/stalls')).stalls : stalls.stalls);
    await getHistory();
}

async function turn() {
    const began = performance.now();
    let pause = PERIOD_MS;
    if (busy)
        return;
    busy = true;
    clearTimeout(timer);
    try {
        await ask();
        failures = 0;
        show();
        showConnection(null);
        const took = performance.now() - began;
        pause = Math.max(PERIOD_MS - took, took * (SPARED - 1), 50);
    } catch (error) {
        if (!failures++)
            lostSince = Date.now();
        pause = Math.min(1000 * 2 ** (failures - 1), LONGEST_PAUSE_MS);
        showConnection(error);
    }
    busy = false;
    // Who is not looked at need not ask.
    if (!document.hidden)
        timer = setTimeout(turn, pause);
}

function follow() {
    const match = /^#(group|stall)=(.*)$/.exec(location.hash);
    let value = match ? match[2].replace(/\+/g, ' ') : null;
    try {
        value = match && decodeURIComponent(value);
    } catch {
        // As it stands, then.
    }
    state.stall = match && match[1] === 'stall' ? Number(value) : null;
    if (match && match[1] === 'group') {
        state.group = value;
        state.chosen = true;
    }
    show();
    if (state.status)
        getHistory().then(show, () => {});
}

$('host').textContent = ` ${location.host}`;
$('all').addEventListener('change', () => {
    state.all = $('all').checked;
    show();
});
addEventListener('hashchange', follow);
addEventListener('resize', show);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', show);
document.addEventListener('visibilitychange', () => {
    if (!document.hidden)
        turn();
});
// Who follows a link to a stall wants its group, too.
state.lookAt = (name) => {
    if (state.group === name && state.chosen)
        return;
    state.group = name;
    state.chosen = true;
    getHistory().then(show, () => {});
};
follow();
turn();
