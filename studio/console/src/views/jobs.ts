// The jobs, newest first, each with what it waits for or how it ended; above them how it stands with all.
import { query } from "../api";
import { Child, h } from "../dom";
import { t } from "../messages/index";
import { choice, entry, filters, job_link, lasted, named, outside, pill, problem_box, said, section, table, when } from "../parts";
import { Problem } from "../api";
import { link } from "../router";
import { Agent, FeedEvent, FINAL, Hold, Job, Page, Trigger, WaitSummary } from "../types";
import { View } from "../view";
import { cancel, retry } from "./job_actions";

const ROWS = 50;
const STATES = ["ready", "assigned", "running", "waiting", "successful", "failed", "cancelled", "expired"];

/** What a job waits for, does, or came to: one line. */
export function happening(job: Job): Child {
    if (job.state === "ready") return job.waitingFor ? said(job.waitingFor) : null;
    if (job.state === "assigned") return t.jobs.handed(job.agent ?? "");
    if (job.state === "running") return t.jobs.runs(job.agent ?? "");
    if (job.state === "waiting") return t.jobs.holds;
    if (job.state === "successful") return t.jobs.completed;
    return [job.reason && outside(t.jobs.reason(job.reason)), job.cancel && [" · ", outside(job.cancel.why || t.jobs.by(job.cancel.by))]];
}

export class JobsView extends View {
    private page: Page<Job> = { items: [] };
    private counts: Record<string, number> = {};
    private summary: WaitSummary | undefined;
    private holds: Hold[] = [];
    private online = [0, 0] as [number, number];
    private triggers: string[] = [];
    private partly: Problem | undefined;

    title(): string { return t.jobs.title; }
    hears(event: FeedEvent): boolean { return event.kind !== "resource" || event.subject.startsWith("Trigger/"); }
    ticks(): boolean { return this.page.items.some(job => !FINAL.includes(job.state)); }

    async fetch(signal: AbortSignal): Promise<void> {
        const { state, trigger, since, cursor } = this.route.query;
        const page = this.app.api.get<Page<Job>>(query("v1/jobs", { state, trigger, since, cursor, limit: ROWS }), signal);
        // How it stands is worth less than the list: its failure is said, and the list is there.
        const around = Promise.all([this.app.api.get<WaitSummary>("v1/why", signal), this.app.api.get<Page<Agent>>("v1/agents", signal), this.app.api.extra("metrics", signal),
            this.app.api.get<Page<Hold>>("v1/holds", signal), this.triggers.length ? undefined : this.app.api.get<Page<Trigger>>("v1/triggers", signal)]);
        around.catch(() => undefined);
        this.page = await page;
        try {
            const [summary, agents, metrics, holds, triggers] = await around;
            this.summary = summary;
            this.holds = holds.items;
            this.online = [agents.items.filter(each => each.online).length, agents.items.length];
            this.counts = {};
            for (const [, what, state, count] of metrics.matchAll(/^millwright_(jobs|deliveries)\{state="(\w+)"\} (\d+)$/gm)) this.counts[`${what} ${state}`] = Number(count);
            if (triggers) this.triggers = triggers.items.map(each => each.name);
            this.partly = undefined;
        } catch (error) {
            if (!(error instanceof Problem)) throw error;
            this.partly = error;
        }
    }

    private to(more: Record<string, string>): void {
        this.app.go(link(["jobs"], { ...this.route.query, cursor: undefined, ...more }));
    }

    body(): Child {
        const { state = "", trigger = "", since = "", cursor } = this.route.query;
        const filtered = Boolean(state || trigger || since);
        const count = (name: string) => this.counts[name] ?? 0, known = Object.keys(this.counts).length > 0;   // who sees some environments only is told no sums
        const tile = (name: string, text: Child, address: string, mood = "") => h("li", { key: name }, h("a", { href: address, class: `tile ${mood}` }, h("span", { class: "number" }, text), " ", h("span", null, name)));
        return [
            h("ul", { class: "tiles", key: "tiles" },
                known && tile(t.jobs.waiting, count("jobs ready"), link(["jobs"], { state: "ready" }), count("jobs ready") ? "s-ready" : ""),
                known && tile(t.jobs.running, count("jobs running") + count("jobs assigned") + count("jobs waiting"), link(["jobs"], { state: "running" }), ""),
                known && tile(t.jobs.successful, count("jobs successful"), link(["jobs"], { state: "successful" })),
                known && tile(t.jobs.failed, count("jobs failed"), link(["jobs"], { state: "failed" }), count("jobs failed") ? "s-failed" : ""),
                tile(t.jobs.agents, t.jobs.of(this.online[0], this.online[1]), link(["agents"]), this.online[0] < this.online[1] ? "s-ready" : ""),
                known && tile(t.jobs.dead, count("deliveries dead"), link(["deliveries"], { state: "dead" }), count("deliveries dead") ? "s-failed" : "")),
            this.partly && problem_box(this.partly),
            (this.summary && this.summary.groups.length > 0 || this.holds.length > 0) && section(t.jobs.whyTitle, h("ul", { class: "groups" },
                ...this.holds.map(hold => h("li", { key: `hold ${hold.environment}` }, said(`${hold.why} (\`${hold.command}\`)`))),
                ...(this.summary?.groups ?? []).map(group => h("li", { key: group.text }, h("span", { class: "number" }, t.count(group.count)), " ", said(group.text))))),
            filters(
                choice("state", t.jobs.state, state, [["", t.all], ...STATES.map(each => [each, t.state[each] ?? each] as [string, string])], value => this.to({ state: value })),
                entry("trigger", t.jobs.trigger, trigger, value => this.to({ trigger: value }), { list: "triggers", placeholder: t.all }),
                h("datalist", { id: "triggers", key: "triggers" }, ...this.triggers.map(each => h("option", { value: each }))),
                choice("since", t.jobs.since, since, Object.entries(t.jobs.spans), value => this.to({ since: value }))),
            table(t.jobs.title, [
                { name: t.jobs.columns.state, cell: job => pill(job.state) },
                { name: t.jobs.columns.job, cell: job => [job_link(job.uid), " ", named("triggers", job.trigger)] },
                { name: t.jobs.columns.what, class: "wide", cell: happening },
                { name: t.jobs.columns.agent, cell: job => named("agents", job.agent) },
                { name: t.jobs.columns.created, class: "nowrap", cell: job => when(job.createdAt) },
                { name: t.jobs.columns.took, class: "nowrap", cell: job => lasted(job.startedAt ?? job.createdAt, job.endedAt) },
                ...(this.app.may("operator") ? [{ name: t.jobs.columns.actions, class: "nowrap", cell: (job: Job) => FINAL.includes(job.state) ? retry(this.app, job) : cancel(this.app, job) }] : []),
            ], this.page.items, job => job.uid, filtered || cursor ? t.jobs.empty : said(t.jobs.emptyAll)),
            (cursor || this.page.next) && h("p", { class: "pages" },
                cursor && h("a", { href: link(["jobs"], { ...this.route.query, cursor: undefined }) }, `« ${t.newer}`), " ",
                this.page.next && h("a", { href: link(["jobs"], { ...this.route.query, cursor: this.page.next }) }, `${t.older} »`)),
        ];
    }
}
