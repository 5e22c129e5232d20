// The machines: which are there, what they do, and why one takes no job.
import { part } from "../api";
import { Child, h } from "../dom";
import { t } from "../messages/index";
import { named, pill, said, section, table, visible_fact, when } from "../parts";
import { Agent, FeedEvent, Hold, Page, Reason, Why } from "../types";
import { View } from "../view";

const ASKED = 20;   // environments whose reasons are asked for at once

/** What its environment says of it, else what its own state says. */
export function why_idle(agent: Agent, reasons: Map<string, Reason[]>): Child {
    const lacks = (reasons.get(agent.name) ?? []).filter(each => each.code !== "free");
    if (lacks.length > 0) return said(lacks.map(each => each.text).join("; "));
    if (agent.state !== "online") return [agent.goodbye && said(agent.goodbye)];
    return h("span", { class: "dim" }, agent.busy >= agent.slots ? t.agents.full : t.agents.free);
}
export async function reasons_in(view: View, environments: string[], signal: AbortSignal): Promise<Map<string, Reason[]>> {
    const out = new Map<string, Reason[]>();
    const found = await Promise.all(environments.slice(0, ASKED).map(each => view.app.api.get<Why>(`v1/environments/${part(each)}/why`, signal).catch(error => {
        if ((error as { status?: number }).status === 404) return { text: "", reasons: [] } as Why;   // enrolled into an environment that is gone
        throw error;
    })));
    for (const reason of found.flatMap(why => why.reasons)) if (reason.agent) out.set(reason.agent, [...(out.get(reason.agent) ?? []), reason]);
    return out;
}
export function slots(agent: Agent): Child {
    const word = `${agent.busy} / ${agent.slots}`;
    return [h("span", { class: "slots", "aria-hidden": "true" }, ...Array.from({ length: Math.min(agent.slots, 12) }, (_, i) => h("i", { class: i < agent.busy ? "used" : "" }))), " ", h("span", { class: "number" }, word)];
}

export class AgentsView extends View {
    private agents: Agent[] = [];
    private holds: Hold[] = [];
    private reasons = new Map<string, Reason[]>();

    title(): string { return t.agents.title; }
    hears(event: FeedEvent): boolean { return event.kind !== "delivery" && event.kind !== "package"; }
    async fetch(signal: AbortSignal): Promise<void> {
        const [agents, holds] = await Promise.all([this.app.api.get<Page<Agent>>("v1/agents", signal), this.app.api.get<Page<Hold>>("v1/holds", signal)]);
        this.agents = agents.items.sort((a, b) => a.name.localeCompare(b.name));
        this.holds = holds.items;
        this.reasons = await reasons_in(this, [...new Set(this.agents.map(each => each.environment))], signal);
    }
    body(): Child {
        return [
            this.holds.length > 0 && section(t.agents.holds, h("ul", { class: "groups" }, ...this.holds.map(hold => h("li", { key: hold.environment }, said(`${hold.why} (\`${hold.command}\`)`))))),
            table(t.agents.title, [
                { name: t.agents.columns.state, cell: each => [pill(each.state), !each.online && each.offlineSince && [" ", h("span", { class: "dim" }, t.agents.since(""), when(each.offlineSince))]] },
                { name: t.agents.columns.name, cell: each => named("agents", each.name) },
                { name: t.agents.columns.slots, class: "nowrap", cell: slots },
                { name: t.agents.columns.environment, cell: each => visible_fact(each.environment) }, { name: t.agents.columns.version, class: "nowrap", cell: each => visible_fact(each.facts["millwright"]) },
                { name: t.agents.columns.why, class: "wide", cell: each => why_idle(each, this.reasons) },
            ], this.agents, each => each.id, said(t.agents.empty)),
        ];
    }
}
