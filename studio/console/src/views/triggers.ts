// What starts jobs: how it is called, when it fires, and why not.
import { part, query } from "../api";
import { Child, h, VNode } from "../dom";
import { visible } from "../format";
import { t } from "../messages/index";
import { copyable, facts, job_link, named, outside, pill, reasons, said, section, table, when } from "../parts";
import { link } from "../router";
import { Calls, FeedEvent, Firing, Page, Trigger } from "../types";
import { App, View } from "../view";

const SCHEDULES = 50;   // whose next run is asked for

function pause(app: App, trigger: Trigger): VNode {
    const at = `v1/triggers/${part(trigger.name)}`;
    if (trigger.status.paused) return h("button", { type: "button", class: "quiet", key: "resume", "aria-label": `${t.triggers.resume}: ${trigger.name}`, onclick: () => void app.act(() => app.api.post(`${at}/resume`), t.triggers.resumed) }, t.triggers.resume);
    return h("button", { type: "button", class: "quiet", key: "pause", "aria-label": `${t.triggers.pause}: ${trigger.name}`, onclick: async () => {
        const given = await app.ask({ title: t.triggers.pauseTitle(trigger.name), text: t.triggers.pauseText, yes: t.triggers.pause, no: t.triggers.pauseNot, fields: [{ name: "why", label: t.triggers.pauseWhy, kind: "text" }] });
        if (given) await app.act(() => app.api.post(`${at}/pause`, given["why"] ? { why: given["why"] } : {}), t.triggers.paused);
    } }, t.triggers.pause);
}
/** "2026-11-30 06:00:00 +01:00": the time on the clocks of the schedule's zone. */
const local = (firing: Firing) => visible(firing.local.replace(/^(.{10})T(.{8})/, "$1 $2 "));
const state = (trigger: Trigger): Child => [pill(trigger.status.paused ? "paused" : "active"), trigger.status.pausedWhy && [" ", outside(trigger.status.pausedWhy)]];

export class TriggersView extends View {
    private triggers: Trigger[] = [];
    private next = new Map<string, Firing | undefined>();

    title(): string { return t.triggers.title; }
    hears(event: FeedEvent): boolean { return event.kind === "schedule" || event.subject.startsWith("Trigger/") || event.subject.startsWith("Calendar/"); }
    async fetch(signal: AbortSignal): Promise<void> {
        this.triggers = (await this.app.api.get<Page<Trigger>>("v1/triggers", signal)).items;
        const timed = this.triggers.filter(each => each.type === "schedule").slice(0, SCHEDULES);
        const found = await Promise.all(timed.map(each => this.app.api.get<{ next: Firing[] }>(query(`v1/triggers/${part(each.name)}/schedule`, { count: 5 }), signal)));
        timed.forEach((each, i) => this.next.set(each.name, found[i]!.next.find(firing => !firing.skipped)));
    }
    body(): Child {
        return table(t.triggers.title, [
            { name: t.triggers.columns.state, cell: state },
            { name: t.triggers.columns.name, cell: each => named("triggers", each.name) },
            { name: t.triggers.columns.type, cell: each => [visible(each.type), each.schedule && [" ", h("code", null, visible(each.schedule.cron ?? each.schedule.every ?? ""))]] },
            { name: t.triggers.columns.deployment, cell: each => named("deployments", each.deployment) },
            { name: t.triggers.columns.next, class: "nowrap", cell: each => each.type !== "schedule" ? h("span", { class: "dim" }, t.triggers.calls) : when(this.next.get(each.name)?.at ?? this.next.get(each.name)?.due) },
            ...(this.app.may("operator") ? [{ name: t.triggers.columns.actions, class: "nowrap", cell: (each: Trigger) => pause(this.app, each) }] : []),
        ], this.triggers, each => each.name, said(t.triggers.empty));
    }
}

export class TriggerView extends View {
    private readonly name = this.route.path[1]!;
    private trigger: Trigger | undefined;
    private calls: Calls | undefined;
    private next: Firing[] = [];
    private past: Firing[] = [];

    title(): string { return this.name; }
    hears(event: FeedEvent): boolean { return event.subject === `Trigger/${this.name}` || event.kind === "agent" || event.kind === "schedule" && event.subject.endsWith(`/${this.name}`); }
    async fetch(signal: AbortSignal): Promise<void> {
        const at = `v1/triggers/${part(this.name)}`, api = this.app.api;
        this.trigger = await api.get<Trigger>(at, signal);
        this.calls = await api.get<Calls>(`${at}/calls`, signal);
        if (this.trigger.type !== "schedule") return;
        const [next, past] = await Promise.all([api.get<{ next: Firing[] }>(query(`${at}/schedule`, { count: 10 }), signal), api.get<Page<Firing>>(query(`${at}/firings`, { limit: 20 }), signal)]);
        this.next = next.next;
        this.past = past.items;
    }
    actions(): Child { return this.app.may("operator") && pause(this.app, this.trigger!); }
    body(): Child {
        const trigger = this.trigger!, calls = this.calls!, timed = trigger.type === "schedule";
        return [
            h("div", { class: "why", key: "why" }, pill(trigger.status.paused ? "paused" : "active"), h("div", null, trigger.status.pausedWhy && h("p", { class: "first" }, outside(trigger.status.pausedWhy)),
                calls.ready && [h("h2", { class: "small" }, t.triggers.ready), h("p", null, said(calls.ready.text)), reasons(calls.ready.reasons, calls.ready.text)])),
            facts([[t.triggers.columns.type, visible(trigger.type)], [t.triggers.columns.deployment, named("deployments", trigger.deployment)], [t.job.workflow, visible(trigger.workflow)], [t.triggers.runOn, visible(trigger.runOn)], [t.job.priority, trigger.priority],
                [t.triggers.expiration, visible(trigger.expiration)], [t.triggers.concurrency, trigger.concurrency || t.triggers.unlimited], [t.triggers.jobs, h("a", { href: link(["jobs"], { trigger: trigger.name }) }, t.jobs.title)]]),
            timed && section(t.triggers.next, table(t.triggers.next, [{ name: t.triggers.due, cell: each => when(each.at ?? each.due) }, { name: t.triggers.local, cell: each => local(each) }, ...(this.next.some(each => each.skipped) ? [{ name: t.triggers.columns.state, class: "wide", cell: (each: Firing) => each.skipped && [pill("skipped"), " ", said(each.skipped)] }] : [])],
                this.next, each => each.due, t.triggers.noNext)),
            timed && section(t.triggers.past, table(t.triggers.past, [{ name: t.triggers.outcome, cell: each => pill(each.outcome ?? "") }, { name: t.triggers.due, cell: each => when(each.due) }, { name: t.triggers.local, cell: each => local(each) },
                { name: t.job.text, class: "wide", cell: each => [each.job && job_link(each.job), each.why && [" ", said(each.why)]] }], this.past, each => each.due, t.triggers.noFirings)),
            trigger.type === "api" && section(t.triggers.call, copyable(this, calls.urls["v1"] ?? "", t.triggers.url), h("p", { class: "dim" }, said(t.triggers.token.replace("NAME", trigger.name))),
                calls.examples.map((each, i) => h("div", { key: i }, h("h3", null, t.triggers.forms[i] ?? ""), copyable(this, each, t.triggers.forms[i] ?? "")))),
            calls.chat && section(t.triggers.chat, h("p", null, visible(calls.chat.platform)), copyable(this, calls.chat.url, t.triggers.url), calls.chat.problem && h("p", { class: "bad" }, said(calls.chat.problem)), copyable(this, calls.chat.example, t.triggers.chat)),
        ];
    }
}
