// What ran: all of it, and one job with its result, files, steps and log.
import { Child, h } from "../../../console/src/dom";
import { Problem } from "../api";
import { duration_text, precise_text, time_text } from "../format";
import { t } from "../messages";
import { error_text, pill, start_address, text, value_shown } from "../parts";
import { Job, Past } from "../types";
import { App, View } from "../view";

const took = (each: Past): string => each.started && each.ended ? duration_text(Date.parse(each.ended) - Date.parse(each.started)) : "";
const files = (list: string[] | undefined): Child => list && list.length > 0 && h("ul", { class: "files" }, list.map(each => h("li", null, h("code", null, text(each)))));

export class HistoryView implements View {
    constructor(private readonly app: App) {}
    title(): string { return t("history.title"); }
    body(): Child {
        const all = this.app.person.history;
        if (all.length === 0) return h("p", { class: "dim" }, t("history.none"));
        return h("div", { class: "table" }, h("table", null,
            h("thead", null, h("tr", null, [t("history.what"), t("history.how"), t("history.when"), t("history.took")].map(each => h("th", { scope: "col" }, each)))),
            h("tbody", null, all.map(each => h("tr", { key: each.job ?? each.id },
                h("td", null, each.job ? h("a", { href: `#/job/${encodeURIComponent(each.job)}` }, text(each.title || each.trigger)) : [text(each.title || each.trigger), h("p", { class: "bad" }, text(each.reason))], each.mine && h("p", { class: "dim" }, t("running.mine")), each.text && h("p", { class: "dim" }, text(each.text)), files(each.files)),
                h("td", null, pill(each.state)), h("td", null, h("time", null, time_text(each.ended ?? each.started))), h("td", null, took(each)))))));
    }
}

export class JobView implements View {
    private job: Job | undefined;
    private gone = false;
    constructor(private readonly app: App, private readonly id: string) { void this.fetch(); }

    private async fetch(): Promise<void> {
        try {
            this.job = await this.app.api.get<Job>(`jobs/${encodeURIComponent(this.id)}`);
            this.gone = false;
        } catch (error) {
            this.gone = error instanceof Problem && error.status === 404;
        }
        this.app.draw();
    }
    news(): void { void this.fetch(); }
    title(): string { return this.job ? text(this.job.title || this.job.trigger) : this.gone ? t("job.gone") : t("job.title"); }

    body(): Child {
        const { job, app } = this;
        if (!job) return h("p", null, this.gone ? h("a", { href: "#/history" }, t("history.title")) : t("app.loading"));
        const again = app.person.launchable.find(each => each.trigger === job.trigger);
        const section = (key: string, title: string, inside: Child): Child => inside && h("section", { key, "aria-labelledby": key }, h("h2", { id: key }, title), inside);
        return [
            h("p", { key: "state" }, pill(job.state), job.text && [" ", text(job.text)]),
            h("p", { class: "dim", key: "times" }, job.started && t("job.started", { time: time_text(job.started) }), job.ended && [" · ", t("job.ended", { time: time_text(job.ended) })], took(job) && [" · ", took(job)], job.reason && [" · ", t("job.reason", { reason: text(job.reason) })]),
            again && h("p", { key: "again" }, h("a", { class: "button", href: start_address(again) }, t("job.again"))),
            section("error", t("job.error"), job.error ? h("p", { class: "bad long" }, text(error_text(job.error))) : null),
            section("result", t("job.result"), value_shown(job.output)),
            section("files", t("job.files"), files(job.files)),
            section("steps", t("job.steps"), job.steps && job.steps.length > 0 && h("ol", { class: "steps" }, job.steps.map(each => h("li", null, text(each.name), " ", pill(each.state))))),
            section("log", t("job.log"), job.log && job.log.length > 0 ? h("div", { class: "table log", tabindex: 0, role: "group", "aria-labelledby": "log" }, h("table", null,
                h("thead", { class: "unseen" }, h("tr", null, h("th", { scope: "col" }, t("job.log.time")), h("th", { scope: "col" }, t("job.log.text")))),
                h("tbody", null, job.log.map(each => h("tr", { class: /^[a-z]+$/.test(each.level) ? `v-${each.level}` : undefined }, h("td", null, h("time", null, precise_text(each.time))), h("td", { class: "long" }, text(each.text))))))) : h("p", { class: "dim" }, t("job.log.none"))),
        ];
    }
}
