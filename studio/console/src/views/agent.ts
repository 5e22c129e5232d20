// One machine: its state and why, what it holds, what it is, what it said.
import { part, query } from "../api";
import { Child, h } from "../dom";
import { bytes_text, precise_text, visible, whole_text } from "../format";
import { t } from "../messages/index";
import { facts, job_link, json_text, long_text, outside, pill, said, section, visible_fact, when } from "../parts";
import { Agent, FeedEvent, LogItem, Page, Reason } from "../types";
import { View } from "../view";
import { reasons_in, slots, why_idle } from "./agents";

export class AgentView extends View {
    private readonly name = this.route.path[1]!;
    private agent: Agent | undefined;
    private log: LogItem[] = [];
    private reasons = new Map<string, Reason[]>();

    title(): string { return `${this.name}${this.agent ? ` · ${t.state[this.agent.state] ?? this.agent.state}` : ""}`; }
    hears(event: FeedEvent): boolean { return event.subject === this.name || event.kind === "job" && (event.detail["agent"] === this.name || event.detail["agent"] === undefined); }
    async fetch(signal: AbortSignal): Promise<void> {
        const at = `v1/agents/${part(this.name)}`;
        const [agent, log] = await Promise.all([this.app.api.get<Agent>(at, signal), this.app.api.get<Page<LogItem>>(query(`${at}/log`, { limit: 200 }), signal)]);
        this.agent = agent;
        this.log = log.items;
        this.reasons = await reasons_in(this, [agent.environment], signal);
    }
    actions(): Child {
        const agent = this.agent!;
        if (!this.app.may("operator")) return null;
        const set = (paused: boolean, done: string) => this.app.act(() => this.app.api.json("PATCH", `v1/agents/${part(this.name)}`, { paused }), done);
        if (agent.paused) return h("button", { type: "button", key: "resume", onclick: () => void set(false, t.agents.resumed) }, t.agents.resume);
        return h("button", { type: "button", class: "quiet", key: "pause", onclick: async () => {
            if (await this.app.ask({ title: t.agents.pauseTitle(this.name), text: t.agents.pauseText, yes: t.agents.pause, no: t.agents.pauseNot })) await set(true, t.agents.paused);
        } }, t.agents.pause);
    }
    body(): Child {
        const agent = this.agent!, known = agent.facts;
        const os = known["os"] as Record<string, string> | undefined;
        return [
            h("div", { class: "why", key: "why" }, pill(agent.state), h("div", null, h("p", { class: "first" }, why_idle(agent, this.reasons)), agent.offlineSince && !agent.online && h("p", { class: "dim" }, t.agents.since(""), when(agent.offlineSince)),
                agent.goodbye && h("p", { class: "dim" }, `${t.agents.goodbye}: `, outside(agent.goodbye)))),
            h("div", { class: "columns", key: "facts" },
                section(t.agents.facts, facts([[t.agents.columns.slots, slots(agent)], [t.agents.columns.environment, visible(agent.environment)], [t.agents.mode, visible(agent.mode)], [t.agents.columns.version, visible_fact(known["millwright"])],
                    ["OS", os && visible(`${os["name"] ?? ""} ${os["version"] ?? ""} ${os["arch"] ?? ""}`)], ["CPU", visible_fact(known["cpus"])], ["RAM", typeof known["memory"] === "number" && bytes_text(known["memory"])],
                    [t.agents.enrolled, when(agent.createdAt)], [t.agents.seen, when(agent.lastSeen)], [t.agents.fingerprint, agent.fingerprint && h("code", null, visible(agent.fingerprint))], ...Object.entries(agent.labels).map(([name, value]) => [visible(name), outside(value)] as [string, Child])]),
                    h("details", null, h("summary", null, t.showAll), json_text(this, "facts", known))),
                section(t.agents.jobs, agent.jobs.length ? h("ul", null, ...agent.jobs.map(uid => h("li", { key: uid }, job_link(uid)))) : h("p", { class: "empty" }, t.agents.noJobs))),
            section(t.agents.log, this.log.length === 0 ? h("p", { class: "empty" }, t.agents.noLog) : h("ol", { class: "records" }, ...this.log.map(each => h("li", { key: each.sequence, class: `v-${each.level ?? "info"}` },
                h("time", { datetime: each.time, title: whole_text(each.time) }, precise_text(each.time)), h("span", { class: "source o-agent" }, visible(each.room ?? "")), h("span", { class: "level" }, each.level === "info" || each.level === "debug" ? "" : t.job.levels[each.level ?? ""] ?? ""),
                h("div", { class: "said-text" }, long_text(this, `line ${each.sequence}`, each.text ?? "", "span")))))),
            agent.frozen && h("p", { class: "bad" }, said(agent.goodbye ?? "")),
        ];
    }
}
