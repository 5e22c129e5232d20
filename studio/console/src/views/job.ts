// One job: why first, then how it went, and everything that was said about it.
import { part, Problem, query, Stopped } from "../api";
import { Child, h } from "../dom";
import { duration_text, micros, span, visible } from "../format";
import { t } from "../messages/index";
import { attempts, facts, job_link, json_text, lasted, named, pill, reasons, said, section, short, table, when } from "../parts";
import { link } from "../router";
import { Delivery, FeedEvent, FINAL, Job, LogItem, Page, Step, TimelineItem, Why } from "../types";
import { View } from "../view";
import { cancel, retry } from "./job_actions";
import { resend } from "./delivery_actions";
import { Records } from "./records";

const LINES = 1000;
const WAIT = 25;   // seconds that the log of a running job is held open

export class JobView extends View {
    private readonly uid = this.route.path[1]!;
    private job: Job | undefined;
    private why: Why = { text: "", reasons: [] };
    private timeline: TimelineItem[] = [];
    private steps: Step[] = [];
    private log: LogItem[] = [];
    private agent: LogItem[] = [];
    private deliveries: Delivery[] = [];
    private readonly records = new Records();
    private next = "";
    private ended = false;
    private further = false;
    private following = false;

    title(): string { return this.job ? `${t.job.title(t.state[this.job.state] ?? this.job.state)} · ${short(this.uid)}` : `${t.job.title("")}${short(this.uid)}`; }
    hears(event: FeedEvent): boolean { return event.subject === this.uid || event.detail["job"] === this.uid || event.kind === "agent" && this.job?.state === "ready"; }
    ticks(): boolean { return this.job !== undefined && !FINAL.includes(this.job.state); }

    async fetch(signal: AbortSignal): Promise<void> {
        const at = `v1/jobs/${part(this.uid)}`, api = this.app.api;
        const [job, why, timeline, steps, deliveries] = await Promise.all([api.get<Job>(at, signal), api.get<Why>(`${at}/why`, signal), api.get<{ items: TimelineItem[] }>(`${at}/timeline`, signal),
            api.get<{ items: Step[] }>(query(`${at}/steps`, { limit: LINES }), signal), api.get<{ items: Delivery[] }>(`${at}/deliveries`, signal)]);
        this.job = job;
        this.why = why;
        this.timeline = timeline.items;
        this.steps = steps.items;
        this.deliveries = deliveries.items;
        if (!this.following) await this.lines(signal, 0);
        await this.agent_lines(signal);
        this.mix();
        void this.follow(this.life.signal);
    }
    private mix(): void { this.records.take({ log: this.log, agent: this.agent, timeline: this.timeline, steps: this.steps, deliveries: this.deliveries }); }

    private async lines(signal: AbortSignal, wait: number): Promise<void> {
        const page = await this.app.api.json<{ items: LogItem[]; next: string; ended: boolean }>("GET", query(`v1/jobs/${part(this.uid)}/log`, { after: this.next, limit: LINES, wait: wait || undefined }), undefined, signal, (wait + 15) * 1000);
        this.log.push(...page.items);
        this.next = page.next || this.next;
        this.ended = page.ended;
        this.further = page.items.length === LINES;
    }
    /** What its agent said meanwhile; its sequences begin with the time in microseconds. */
    private async agent_lines(signal: AbortSignal): Promise<void> {
        const job = this.job!;
        if (!job.agent || !job.assignedAt) return;
        try {
            const page = await this.app.api.get<Page<LogItem>>(query(`v1/agents/${part(job.agent)}/log`, { after: micros(job.assignedAt) - 1_000_000, limit: LINES }), signal);
            const from = micros(job.assignedAt) - 1_000_000, to = job.endedAt ? micros(job.endedAt) + 5_000_000 : Infinity;
            this.agent = page.items.filter(each => micros(each.time) >= from && micros(each.time) <= to);
        } catch (error) {
            if (error instanceof Stopped || !(error instanceof Problem) || error.status !== 404) throw error;   // an agent that was deleted
        }
    }
    /** While it runs, one call waits for its next lines. */
    private async follow(signal: AbortSignal): Promise<void> {
        if (this.following || this.ended || this.further || this.job?.state !== "running" && this.job?.state !== "waiting") return;
        this.following = true;
        try {
            while (!signal.aborted && !this.ended && !this.further && !document.hidden) {
                await this.lines(signal, WAIT);
                this.mix();
                this.app.draw();
            }
        } catch { /* the next look says what is wrong */ } finally {
            this.following = false;
        }
    }

    actions(): Child {
        const job = this.job!;
        if (!this.app.may("operator")) return null;
        return FINAL.includes(job.state) ? retry(this.app, job) : cancel(this.app, job);
    }

    body(): Child {
        const job = this.job!;
        return [
            h("div", { class: "why", key: "why" }, pill(job.state), h("div", null, h("p", { class: "first" }, said(this.why.text)), reasons(this.why.reasons, this.why.text))),
            job.error && section(t.job.error, h("div", { class: "problem" }, h("strong", null, visible(job.error.title ?? "")), h("p", null, said(job.error.detail ?? "")), json_text(this, "error", job.error))),
            section(t.job.timeline, this.bar(), this.times()),
            section(t.job.steps, table(t.job.steps, [
                { name: t.jobs.columns.state, cell: step => step.gap ? t.job.lost(step.gap) : pill(step.state ?? "") },
                { name: t.job.step, class: "wide", cell: step => [h("strong", null, visible(step.name ?? "")), " ", h("code", { class: "dim" }, visible(step.task ?? "")), step.error && h("p", { class: "bad" }, said([step.error.title, step.error.detail].filter(Boolean).join(": ")))] },
                { name: t.job.kind, cell: step => visible(step.type ?? "") }, { name: t.job.time, class: "nowrap", cell: step => when(step.startedAt ?? step.time, true) }, { name: t.job.length, class: "nowrap", cell: step => lasted(step.startedAt, step.time) },
            ], this.steps, step => `${step.attempt} ${step.sequence}`, t.job.noSteps)),
            section(t.job.records, this.records.draw(this, this.further ? () => void this.app.act(() => this.lines(new AbortController().signal, 0), "") : undefined)),
            section(t.job.deliveries, this.deliveries.length === 0 ? h("p", { class: "empty" }, t.job.noDeliveries) : this.deliveries.map(each => h("div", { class: "card", key: each.id },
                h("div", { class: "title" }, h("h3", null, pill(each.state), " ", named("deliveries", each.id) && h("a", { href: link(["deliveries", each.id]) }, visible(each.notifier)), " · ", visible(each.on)), this.app.may("operator") && resend(this.app, each)),
                each.error && h("p", { class: "bad" }, said(each.error)), attempts(this, each.id, each.attempts ?? [], false)))),
            h("div", { class: "columns", key: "data" },
                section(t.job.facts, facts([[t.job.uid, h("code", null, this.uid)], [t.job.trigger, named("triggers", job.trigger)], [t.job.deployment, named("deployments", job.deployment)], [t.job.environment, visible(job.environment)],
                    [t.job.package, visible(`${job.package.name}@${job.package.version}`)], [t.job.workflow, visible(job.workflow)], [t.job.agent, named("agents", job.agent)], [t.job.attempt, job.attempt], [t.job.priority, job.priority],
                    [t.job.by, job.requestedBy && visible(job.requestedBy)], [t.job.expires, !FINAL.includes(job.state) && when(job.expiresAt)], [t.job.retryOf, job.retryOf && job_link(job.retryOf)], [t.job.retriedBy, job.retriedBy && job_link(job.retriedBy)]])),
                ...([[t.job.input, "input", job.input], [t.job.output, "output", job.output], [t.job.context, "context", job.invocationContext], [t.job.evidence, "evidence", job.evidence]] as [string, string, unknown][])
                    .filter(([, , value]) => value !== undefined && value !== null).map(([name, key, value]) => section(name, json_text(this, key, value)))),
        ];
    }

    /** From one change of state to the next; a word that is no state is a moment. */
    private spans(): { item: TimelineItem; ms: number }[] {
        const states = this.timeline.filter(each => each.state in t.state);
        return this.timeline.map(item => {
            const at = states.indexOf(item), next = at < 0 ? undefined : states[at + 1];
            return { item, ms: at < 0 || FINAL.includes(item.state) ? 0 : span(item.time, next?.time) };
        });
    }
    private bar(): Child {
        const parts = this.spans().filter(each => each.ms > 0), whole = parts.reduce((sum, each) => sum + each.ms, 0);
        if (whole <= 0) return null;
        return h("div", { class: "bar", "aria-hidden": "true" }, ...parts.map(({ item, ms }) => h("span", { class: `b-${item.state}`, key: item.sequence, style: { "flex-grow": String(Math.max(ms / whole * 100, 0.5)) }, title: `${t.state[item.state]} ${duration_text(ms)}` })));
    }
    private times(): Child {
        return table(t.job.timeline, [
            { name: t.job.time, class: "nowrap", cell: each => when(each.item.time, true) }, { name: t.jobs.columns.state, cell: each => pill(each.item.state) },
            { name: t.job.length, class: "nowrap", cell: each => each.ms > 0 && h("span", { class: "number" }, duration_text(each.ms)) }, { name: t.job.agent, cell: each => [named("agents", each.item.agent), each.item.attempt && ` · ${t.job.attempt} ${each.item.attempt}`] },
            { name: t.job.text, class: "wide", cell: each => (each.item.reason || each.item.text) && said([each.item.reason?.replace(/_/g, " "), each.item.text].filter(Boolean).join(" · ")) },
        ], this.spans(), each => String(each.item.sequence), t.job.noRecords);
    }
}
