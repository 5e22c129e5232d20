// Everything that was said about one job, by whomever, in the order of time.
import { micros, precise_text, span, duration_text, whole_text } from "../format";
import { Child, h } from "../dom";
import { t } from "../messages/index";
import { choice, entry, filters, long_text, outside } from "../parts";
import { Delivery, LogItem, Step, TimelineItem } from "../types";
import { View } from "../view";

export type Source = "job" | "timeline" | "step" | "agent" | "delivery";
export interface Entry { key: string; time: string; source: Source; level: string; about: string; text: string }

const LEVELS = ["debug", "info", "warning", "error"];
const SHOWN = 200;

const of_log = (items: LogItem[], source: Source): Entry[] => items.map(item => ({
    key: `${source} ${item.attempt ?? ""} ${item.sequence}`, time: item.time, source, level: item.gap ? "warning" : item.level ?? "info", about: item.task ?? item.room ?? "", text: item.gap ? t.job.lost(item.gap) : item.text ?? "",
}));
const of_timeline = (items: TimelineItem[]): Entry[] => items.map(item => ({
    key: `timeline ${item.sequence}`, time: item.time, source: "timeline", level: item.state === "failed" || item.state === "expired" ? "error" : "info", about: item.agent ?? "",
    text: [t.state[item.state] ?? item.state.replace(/_/g, " "), item.reason, item.text].filter(Boolean).join(" · "),
}));
const of_steps = (items: Step[]): Entry[] => items.filter(item => !item.gap).map(item => ({
    key: `step ${item.attempt} ${item.sequence}`, time: item.time, source: "step", level: item.state === "faulted" ? "error" : "info", about: item.task,
    text: [`${item.name ?? ""} ${t.state[item.state ?? ""] ?? item.state ?? ""}`, item.startedAt && duration_text(span(item.startedAt, item.time)), item.error && [item.error.title, item.error.detail].filter(Boolean).join(": ")].filter(Boolean).join(" · "),
}));
const of_deliveries = (items: Delivery[]): Entry[] => items.flatMap(each => [
    { key: `delivery ${each.id}`, time: each.createdAt, source: "delivery" as Source, level: "info", about: each.notifier, text: `${each.on} · ${t.state["pending"]}` },
    ...(each.attempts ?? []).map(one => ({ key: `delivery ${each.id} ${one.number}`, time: one.time, source: "delivery" as Source, level: one.error ? "error" : "info", about: each.notifier,
        text: `${each.on} · ${t.deliveries.attempt(one.number)} · ${one.error ?? `${t.status} ${one.response?.status ?? ""}`}` }))]);

export interface Given { log: LogItem[]; agent: LogItem[]; timeline: TimelineItem[]; steps: Step[]; deliveries: Delivery[] }

export class Records {
    private entries: Entry[] = [];
    private sources = new Set<Source>(["job", "timeline", "step", "agent", "delivery"]);
    private level = "debug";
    private search = "";
    private shown = SHOWN;

    take(given: Given): void {
        this.entries = [...of_timeline(given.timeline), ...of_steps(given.steps), ...of_log(given.log, "job"), ...of_log(given.agent, "agent"), ...of_deliveries(given.deliveries)]
            .map(each => [micros(each.time), each] as const).sort((a, b) => a[0] - b[0]).map(each => each[1]);
    }

    private wanted(): Entry[] {
        const least = LEVELS.indexOf(this.level), words = this.search.toLowerCase();
        return this.entries.filter(each => this.sources.has(each.source) && LEVELS.indexOf(each.level) >= least && (!words || `${each.about} ${each.text}`.toLowerCase().includes(words)));
    }

    draw(view: View, further: (() => void) | undefined): Child {
        const all = this.wanted(), hidden = Math.max(0, all.length - this.shown);
        const change = (what: () => void) => { what(); view.app.draw(); };
        const toggle = (source: Source) => change(() => this.sources.has(source) ? this.sources.delete(source) : this.sources.add(source));
        return [
            filters(h("fieldset", { key: "sources" }, h("legend", null, t.job.show), ...(["job", "step", "timeline", "agent", "delivery"] as Source[]).map(source =>
                h("label", { class: "check", key: source }, h("input", { type: "checkbox", checked: this.sources.has(source), onchange: () => toggle(source) }), h("span", null, t.job.sources[source]!)))),
                choice("level", t.job.least, this.level, LEVELS.map(each => [each, t.job.levels[each]!] as [string, string]), value => change(() => { this.level = value; })),
                entry("search", t.job.search, this.search, value => change(() => { this.search = value; }), { type: "search" })),
            hidden > 0 && h("button", { type: "button", class: "quiet", key: "earlier", onclick: () => change(() => { this.shown += SHOWN; }) }, t.job.earlier(Math.min(hidden, SHOWN))),
            all.length === 0 ? h("p", { class: "empty" }, this.entries.length ? t.job.noneLike : t.job.noRecords) :
                h("ol", { class: "records", key: "records" }, ...all.slice(hidden).map(each => h("li", { key: each.key, class: `v-${each.level}` },
                    h("time", { datetime: each.time, title: whole_text(each.time) }, precise_text(each.time)), h("span", { class: `source o-${each.source}` }, t.job.sources[each.source]!),
                    h("span", { class: "level" }, each.level === "info" || each.level === "debug" ? "" : t.job.levels[each.level] ?? ""),
                    h("div", { class: "said-text" }, each.about && h("span", { class: "about" }, outside(each.about), " "), long_text(view, each.key, each.text, "span"))))),
            further && h("button", { type: "button", class: "quiet", key: "further", onclick: further }, t.job.further),
        ];
    }
}
