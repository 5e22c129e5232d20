// What the outside was told: how it goes with each notifier, and every notification.
import { query } from "../api";
import { Child, h } from "../dom";
import { time_text, visible } from "../format";
import { t } from "../messages/index";
import { attempt, choice, entry, filters, job_link, outside, pill, said, section, table, when } from "../parts";
import { link } from "../router";
import { Delivery, FeedEvent, Notifier, Page, TestAnswer } from "../types";
import { View } from "../view";
import { resend, send_held, test } from "./delivery_actions";

const ROWS = 50;
const hears_of = (notifier: Notifier) => {
    for (const source of ["trigger", "deployment", "environment"] as const) if (notifier[source]) return `${source} ${notifier[source]}`;
    for (const source of ["agents", "deliveries", "credentials"] as const) if (notifier[source]) return source;
    return "";
};
const events = (notifier: Notifier) => notifier.on.map(each => typeof each === "string" ? each : Object.keys(each).join()).join(", ");

export class DeliveriesView extends View {
    private page: Page<Delivery> = { items: [] };
    private notifiers: Notifier[] = [];
    private tested: { name: string; answer: TestAnswer } | undefined;

    title(): string { return t.deliveries.title; }
    hears(event: FeedEvent): boolean { return event.kind === "delivery" || event.kind === "notifier" || event.subject.startsWith("Notifier/"); }

    async fetch(signal: AbortSignal): Promise<void> {
        const { state, notifier, since, cursor } = this.route.query;
        const [page, notifiers] = await Promise.all([this.app.api.get<Page<Delivery>>(query("v1/deliveries", { state, notifier, since, cursor, limit: ROWS }), signal), this.app.api.get<Page<Notifier>>("v1/notifiers", signal)]);
        this.page = page;
        this.notifiers = notifiers.items;
    }
    private to(more: Record<string, string>): void { this.app.go(link(["deliveries"], { ...this.route.query, cursor: undefined, ...more })); }

    body(): Child {
        const { state = "", notifier = "", since = "", cursor } = this.route.query, operator = this.app.may("operator");
        return [
            section(t.deliveries.notifiers, table(t.deliveries.notifiers, [
                { name: t.deliveries.ncolumns.state, cell: each => pill(each.status.deliveries.state) },
                { name: t.deliveries.ncolumns.name, cell: each => h("a", { href: link(["deliveries"], { notifier: each.name }) }, outside(each.name)) },
                { name: t.deliveries.ncolumns.type, cell: each => visible(each.type) }, { name: t.deliveries.ncolumns.on, cell: each => outside(`${hears_of(each)}: ${events(each)}`) },
                { name: t.deliveries.ncolumns.pending, class: "number", cell: each => each.status.deliveries.pending }, { name: t.deliveries.ncolumns.dead, class: "number", cell: each => each.status.deliveries.dead },
                { name: t.deliveries.ncolumns.why, class: "wide", cell: each => this.why(each) },
                ...(operator ? [{ name: t.deliveries.ncolumns.actions, class: "nowrap", cell: (each: Notifier) => [test(this.app, each, answer => { this.tested = { name: each.name, answer }; }), each.status.deliveries.state === "held" && send_held(this.app, each)] }] : []),
            ], this.notifiers, each => each.name, t.deliveries.noNotifiers), this.tested && this.answer()),
            section(t.deliveries.title, filters(
                choice("state", t.jobs.state, state, [["", t.all], ...["pending", "delivered", "dead"].map(each => [each, t.state[each]!] as [string, string])], value => this.to({ state: value })),
                entry("notifier", t.deliveries.columns.notifier, notifier, value => this.to({ notifier: value }), { list: "notifiers", placeholder: t.all }),
                h("datalist", { id: "notifiers", key: "notifiers" }, ...this.notifiers.map(each => h("option", { value: each.name }))),
                choice("since", t.jobs.since, since, Object.entries(t.jobs.spans), value => this.to({ since: value }))),
            table(t.deliveries.title, [
                { name: t.deliveries.columns.state, cell: each => pill(each.state) },
                { name: t.deliveries.columns.notifier, cell: each => h("a", { href: link(["deliveries", each.id]) }, outside(each.notifier)) },
                { name: t.deliveries.columns.on, cell: each => visible(each.on) },
                { name: t.deliveries.columns.about, cell: each => each.job ? job_link(each.job) : each.subject && outside(each.subject) },
                { name: t.deliveries.columns.created, class: "nowrap", cell: each => when(each.createdAt) }, { name: t.deliveries.columns.tries, class: "number", cell: each => each.tries },
                { name: t.deliveries.columns.error, class: "wide", cell: each => each.held ? said(each.held.because) : each.error ? [said(each.error), each.nextTry && ` · ${t.deliveries.nextTry(time_text(each.nextTry))}`] : null },
                ...(operator ? [{ name: t.deliveries.columns.actions, class: "nowrap", cell: (each: Delivery) => resend(this.app, each) }] : []),
            ], this.page.items, each => each.id, t.deliveries.empty),
            (cursor || this.page.next) && h("p", { class: "pages" }, cursor && h("a", { href: link(["deliveries"], { ...this.route.query, cursor: undefined }) }, `« ${t.newer}`), " ",
                this.page.next && h("a", { href: link(["deliveries"], { ...this.route.query, cursor: this.page.next }) }, `${t.older} »`))),
        ];
    }
    private why(notifier: Notifier): Child {
        const { because, failures, nextProbe } = notifier.status.deliveries;
        if (!because) return null;
        return [`${t.deliveries.failures(failures)}: `, said(because), nextProbe && ` · ${t.deliveries.probe(time_text(nextProbe))}`];
    }
    private answer(): Child {
        const { name, answer } = this.tested!;
        return h("div", { class: `card ${answer.ok ? "" : "wrong"}`, role: "status", key: "tested" },
            h("div", { class: "title" }, h("h3", null, pill(answer.ok ? "ok" : "failing"), ` ${t.deliveries.test}: `, outside(name), ` · ${answer.ok ? t.deliveries.testOk : t.deliveries.testFailed}`),
                h("button", { type: "button", class: "quiet", onclick: () => { this.tested = undefined; this.app.draw(); } }, t.close)),
            attempt(this, "tested", { number: 1, time: "", durationMs: 0, request: answer.request ?? {}, response: answer.response, error: answer.error }));
    }
}
