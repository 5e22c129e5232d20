// What runs where: which version, and who could run it now.
import { part, query } from "../api";
import { Child, h } from "../dom";
import { visible } from "../format";
import { t } from "../messages/index";
import { facts, named, outside, pill, reasons, said, section, table, when } from "../parts";
import { Deployment, FeedEvent, Move, Page, Preflight, Why } from "../types";
import { View } from "../view";

const ASKED = 20;

export class DeploymentsView extends View {
    private deployments: Deployment[] = [];
    private can = new Map<string, Preflight>();
    private environments: { name: string; why: Why | undefined }[] = [];

    title(): string { return t.deployments.title; }
    hears(event: FeedEvent): boolean { return event.kind === "agent" || event.kind === "resource" || event.kind === "package"; }
    async fetch(signal: AbortSignal): Promise<void> {
        this.deployments = (await this.app.api.get<Page<Deployment>>("v1/deployments", signal)).items;
        const asked = this.deployments.slice(0, ASKED);
        const found = await Promise.all(asked.map(each => this.app.api.get<Preflight>(query(`v1/deployments/${part(each.name)}/preflight`, { limit: 1 }), signal)));
        asked.forEach((each, i) => this.can.set(each.name, found[i]!));
        const names = (await this.app.api.get<Page<{ name: string }>>("v1/environments", signal)).items.map(each => each.name);
        this.environments = await Promise.all(names.map(async (name, i) => ({ name, why: i < ASKED ? await this.app.api.get<Why>(`v1/environments/${part(name)}/why`, signal) : undefined })));
    }
    body(): Child {
        return [table(t.deployments.title, [
            { name: t.deployments.columns.name, cell: each => named("deployments", each.name) }, { name: t.deployments.columns.package, cell: each => visible(each.package) }, { name: t.deployments.columns.environment, cell: each => visible(each.environment) },
            { name: t.deployments.columns.can, class: "wide", cell: each => {
                const found = this.can.get(each.name);
                return found && [pill(found.counts.now ? "now" : found.counts.later ? "later" : "no"), " ", said(found.text)];
            } },
            { name: t.deployments.columns.changed, class: "nowrap", cell: each => when(each.status.updatedAt) },
        ], this.deployments, each => each.name, said(t.deployments.empty)),
        section(t.deployments.environments, table(t.deployments.environments, [
            { name: t.deployments.columns.environment, cell: each => outside(each.name) },
            { name: t.triggers.ready, class: "wide", cell: each => each.why && said(each.why.text) },
        ], this.environments, each => each.name, t.none))];
    }
}

export class DeploymentView extends View {
    private readonly name = this.route.path[1]!;
    private deployment: Deployment | undefined;
    private preflight: Preflight | undefined;
    private history: Move[] = [];

    title(): string { return this.name; }
    hears(event: FeedEvent): boolean { return event.kind === "agent" || event.kind === "resource" || event.kind === "package"; }
    async fetch(signal: AbortSignal): Promise<void> {
        const at = `v1/deployments/${part(this.name)}`, api = this.app.api;
        const [deployment, preflight, history] = await Promise.all([api.get<Deployment>(at, signal), api.get<Preflight>(query(`${at}/preflight`, { limit: 50 }), signal), api.get<{ items: Move[] }>(query(`${at}/history`, { limit: 50 }), signal)]);
        this.deployment = deployment;
        this.preflight = preflight;
        this.history = history.items;
    }
    body(): Child {
        const deployment = this.deployment!, preflight = this.preflight!, { now, later, no } = preflight.counts;
        return [
            h("div", { class: "why", key: "why" }, pill(now ? "now" : later ? "later" : "no"), h("div", null, h("p", { class: "first" }, said(preflight.text)), h("p", { class: "dim" }, t.deployments.counts(now, later, no)))),
            facts([[t.deployments.columns.package, visible(deployment.package)], [t.deployments.columns.environment, visible(deployment.environment)], [t.deployments.columns.changed, when(deployment.status.updatedAt)], [t.job.by, deployment.status.updatedBy && outside(deployment.status.updatedBy)]]),
            preflight.problems.length > 0 && section(t.deployments.problems, reasons(preflight.problems)),
            preflight.agents.length > 0 && section(t.deployments.preflight, table(t.deployments.preflight, [{ name: t.deployments.can, cell: each => pill(each.can) }, { name: t.deployments.agent, cell: each => named("agents", each.name) }, { name: t.agents.columns.version, cell: each => visible(each.version ?? "") },
                { name: t.deployments.why, class: "wide", cell: each => reasons(each.reasons) }], preflight.agents, each => each.name, "")),
            section(t.deployments.history, table(t.deployments.history, [{ name: t.job.time, class: "nowrap", cell: each => when(each.time) }, { name: t.jobs.columns.what, cell: each => t.deployments.what[each.what] ?? visible(each.what) }, { name: t.deployments.columns.package, cell: each => visible(each.from && each.from !== each.to ? `${each.from} → ${each.to}` : each.to) },
                { name: t.job.by, cell: each => outside(each.by) }, { name: t.job.text, class: "wide", cell: each => each.why && outside(each.why) }], this.history, each => `${each.generation} ${each.time}`, t.deployments.noHistory)),
        ];
    }
}
