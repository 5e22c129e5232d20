// The pieces that views are made of.
import { Problem } from "./api";
import { Child, h, VNode } from "./dom";
import { duration_text, precise_text, span, time_text, visible, whole_text } from "./format";
import { t } from "./messages/index";
import { link } from "./router";
import { Attempt, Reason } from "./types";
import { View } from "./view";

const GLYPHS: Record<string, string> = {
    ready: "○", assigned: "◔", running: "◑", waiting: "◍", successful: "✓", failed: "✕", cancelled: "⊘", expired: "⌛\ufe0e", pending: "◔", delivered: "✓", dead: "✕", online: "●", offline: "○",
    paused: "‖", frozen: "✕", unapproved: "?", revoked: "✕", active: "●", ok: "✓", failing: "!", held: "‖", now: "✓", later: "◔", no: "✕", completed: "✓", faulted: "✕", started: "✓", missed: "!", skipped: "⊘",
};
/** A state: a sign, a word and a colour, never the colour alone. */
export function pill(state: string): VNode {
    return h("span", { class: `pill s-${state.replace(/[^a-z_]/g, "")}` }, h("span", { "aria-hidden": "true", class: "glyph" }, GLYPHS[state] ?? "·"), t.state[state] ?? visible(state.replace(/_/g, " ")));
}
export function when(time: string | undefined, exact = false): Child {
    return time ? h("time", { datetime: time, title: whole_text(time) }, exact ? precise_text(time) : time_text(time)) : null;
}
export const lasted = (from?: string, to?: string) => from ? h("span", { class: "number" }, duration_text(span(from, to))) : null;

/** What the factory says: a sentence in English, commands between backticks. */
export function said(text: string): VNode {
    return h("bdi", { lang: "en" }, ...visible(text).split("`").map((piece, i) => i % 2 ? h("code", null, piece) : piece));
}
/** What the outside sent: text, whatever it looks like. */
export const outside = (text: string) => h("bdi", null, visible(text));

const SHOWN = 2000;
/** A text of any length; its rest is a click away. */
export function long_text(view: View, key: string, text: string, tag = "pre"): Child {
    const cut = text.length > SHOWN && !view.open.has(key);
    return [h(tag, tag === "pre" ? { class: "text", tabindex: "0", key } : { key }, outside(cut ? text.slice(0, SHOWN) : text)),
        cut && h("button", { class: "quiet", type: "button", key: `${key} all`, onclick: () => { view.open.add(key); view.app.draw(); } }, `${t.more(text.length - SHOWN)} · ${t.showAll}`)];
}
export function json_text(view: View, key: string, value: unknown): Child { return long_text(view, key, JSON.stringify(value, null, 2) ?? ""); }
/** A body that may be JSON. */
export function body_text(view: View, key: string, text: string): Child {
    try {
        return json_text(view, key, JSON.parse(text));
    } catch {
        return long_text(view, key, text);
    }
}

export function copyable(view: View, text: string, label: string): VNode {
    return h("div", { class: "copyable" }, h("pre", { class: "text", tabindex: "0", "aria-label": label }, visible(text)),
        navigator.clipboard && h("button", { class: "quiet", type: "button", "aria-label": `${t.copy}: ${label}`, onclick: () => void navigator.clipboard.writeText(text).then(() => view.app.say(t.copied)) }, t.copy));
}

export interface Column<T> { name: string; class?: string; cell: (row: T) => Child }
/** A table that stays one for a screen reader when it becomes cards on a small screen. */
export function table<T>(label: string, columns: Column<T>[], rows: T[], key: (row: T) => string, empty: Child): VNode {
    if (rows.length === 0) return h("p", { class: "empty" }, empty);
    return h("div", { class: "table", key: label }, h("table", { role: "table", "aria-label": label },
        h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...columns.map(column => h("th", { role: "columnheader", scope: "col", class: column.class }, column.name)))),
        h("tbody", { role: "rowgroup" }, ...rows.map(row => h("tr", { role: "row", key: key(row) },
            ...columns.map(column => h("td", { role: "cell", class: column.class, "data-label": column.name }, h("div", null, column.cell(row)))))))));
}

export function facts(rows: [string, Child][]): VNode {
    return h("dl", { class: "facts" }, ...rows.filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== false).map(([name, value]) => h("div", { key: name }, h("dt", null, name), h("dd", null, value))));
}
export function section(title: string, ...content: Child[]): VNode { return h("section", { key: title, "aria-label": title }, h("h2", null, title), ...content); }

export function problem_box(problem: Problem, again?: () => void): VNode {
    return h("div", { class: "problem", role: "alert", key: "problem" }, h("strong", null, visible(problem.title)), problem.detail && h("p", null, said(problem.detail)),
        problem.mistakes.length > 0 && h("ul", null, ...problem.mistakes.map(each => h("li", null, said(each)))),
        h("p", { class: "dim" }, problem.code && `${t.code} ${visible(problem.code)}`, problem.code && problem.status > 0 && " · ", problem.status > 0 && `${t.status} ${problem.status}`),
        again && h("button", { type: "button", onclick: again }, t.retryLoad));
}

export function reasons(list: Reason[], besides = ""): Child {
    const rest = list.filter(each => each.text !== besides);
    return rest.length > 0 && h("ul", { class: "reasons" }, ...rest.map((each, i) => h("li", { key: `${each.code} ${each.agent ?? each.subject ?? ""} ${i}` }, said(each.text))));
}

export const job_link = (uid: string) => h("a", { href: link(["jobs", uid]), class: "uid", title: uid }, short(uid));
/** A uid's end tells jobs apart; its beginning is their time. */
export const short = (uid: string) => visible(uid.length > 20 ? `…${uid.slice(-12)}` : uid);
export const named = (room: string, name: string | undefined) => name ? h("a", { href: link([room, name]) }, outside(name)) : null;

export function choice(name: string, label: string, value: string, options: [string, string][], change: (value: string) => void): VNode {
    return h("label", { key: name }, h("span", null, label), h("select", { name, value, onchange: (event: Event) => change((event.target as HTMLSelectElement).value) },
        ...options.map(([each, text]) => h("option", { value: each, selected: each === value }, text))));
}
export function entry(name: string, label: string, value: string, change: (value: string) => void, more: Record<string, string> = {}): VNode {
    return h("label", { key: name }, h("span", null, label), h("input", { name, value, type: "text", spellcheck: "false", autocomplete: "off", ...more, onchange: (event: Event) => change((event.target as HTMLInputElement).value.trim()) }));
}
export function filters(...fields: Child[]): VNode {
    return h("form", { class: "filters", role: "search", "aria-label": t.jobs.filter, onsubmit: (event: Event) => event.preventDefault() }, ...fields);
}

export function attempt(view: View, key: string, each: Attempt): VNode {
    const headers = Object.entries(each.request.headers ?? {});
    return h("div", { class: "attempt" },
        h("h3", { class: "small" }, t.deliveries.request),
        h("p", null, h("code", null, visible(`${each.request.method ?? ""} ${each.request.url ?? ""}`))),
        headers.length > 0 && facts(headers.map(([name, value]) => [visible(name), outside(value)])),
        each.request.body && body_text(view, `${key} request`, each.request.body),
        h("h3", { class: "small" }, t.deliveries.response),
        each.response ? [h("p", null, `${t.status} ${each.response.status}`), each.response.body && body_text(view, `${key} response`, each.response.body)] : h("p", { class: "dim" }, t.deliveries.noResponse),
        each.error && h("p", { class: "bad" }, said(each.error)));
}
export function attempts(view: View, id: string, list: Attempt[], open: boolean): Child {
    return list.map(each => h("details", { key: `${id} ${each.number}`, open: open && each === list[list.length - 1] ? true : undefined },
        h("summary", null, t.deliveries.attempt(each.number), " · ", when(each.time), " · ", each.response ? `${t.status} ${each.response.status}` : t.deliveries.noResponse, " · ", duration_text(each.durationMs)), attempt(view, `${id} ${each.number}`, each)));
}
/** A fact of an agent, of whatever kind it is. */
export const visible_fact = (value: unknown): Child => typeof value === "string" ? outside(value) : typeof value === "number" ? value : null;
