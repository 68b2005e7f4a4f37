// SPDX-License-Identifier: MIT
// How things are said, and put into the document: everything that comes from looplagd is
// text, never markup.

export function seconds(value) {
    if (value === undefined || value === null)
        return '–';
    if (value >= 9999.5)
        return `${(value / 3600).toFixed(1)} h`;
    if (value >= 99.95)
        return `${value.toFixed(0)} s`;
    if (value >= 0.9995)
        return `${value.toPrecision(3)} s`;
    const ms = value * 1e3;
    return ms >= 99.95 ? `${ms.toFixed(0)} ms` : ms >= 9.95 ? `${ms.toFixed(1)} ms`
        : ms >= 0.05 ? `${ms.toFixed(2)} ms` : ms > 0 ? '<0.1 ms' : '0 ms';
}

export function percent(share) {
    const value = share * 100;
    return value >= 99.95 || value === 0 ? `${value.toFixed(0)} %` : value < 0.01 ? '<0.01 %'
        : `${value.toPrecision(value < 1 ? 1 : 2)} %`;
}

const clock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit',
    second: '2-digit', hourCycle: 'h23' });
const shortClock = new Intl.DateTimeFormat([], { hour: '2-digit', minute: '2-digit',
    hourCycle: 'h23' });

export const time = (ms) => clock.format(ms);
export const minute = (ms) => shortClock.format(ms);

export function count(number, one, many) {
    return `${number} ${number === 1 ? one : many}`;
}

// Set a text only if it changes, so that nobody's selection or place is lost.
export function setText(element, text) {
    if (element.textContent !== text)
        element.textContent = text;
}

export function make(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {}))
        element.setAttribute(name, value);
    element.append(...children);
    return element;
}

// How bad a delay is, as a class: what is as long as a stall, and a quarter of that.
export function level(value, threshold) {
    return value >= threshold ? 'bad' : value >= threshold / 4 ? 'warn' : '';
}

// Have an element for each item, in that order, made once and updated often; what has the
// focus keeps it.
export function keep(parent, items, key, create, update) {
    const before = parent.kept || new Map();
    const focused = document.activeElement;
    parent.kept = new Map(items.map((item) => [key(item), before.get(key(item)) || create(item)]));
    for (const [name, element] of before)
        if (!parent.kept.has(name))
            element.remove();
    let at = parent.firstElementChild;
    for (const item of items) {
        const element = parent.kept.get(key(item));
        update(element, item);
        if (element === at)
            at = at.nextElementSibling;
        else
            parent.insertBefore(element, at);
    }
    if (focused !== document.activeElement && parent.contains(focused))
        focused.focus({ preventScroll: true });
}

export const groupLink = (name) => `#group=${encodeURIComponent(name)}`;

// The line to look at first: the innermost one of the program's own language.
export function guilty(stack) {
    const scripts = stack.filter((frame) => frame.lang !== 'native' && frame.file);
    const own = scripts.find((frame) => !/^node:|node_modules|\/lib\/python|^</.test(frame.file));
    return own || scripts[0] || stack[0];
}

export function place(frame) {
    if (frame.file)
        return frame.line ? `${frame.file}:${frame.line}` : frame.file;
    return frame.module ? `${frame.module}+${frame.offset}` : frame.offset || '';
}
