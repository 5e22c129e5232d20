// The start page: what waits for the person, what runs, what can be started.
import { Child, h } from "../../../console/src/dom";
import { time_text } from "../format";
import { count, state_text, t } from "../messages";
import { pill, start_address, text } from "../parts";
import { Launchable, Running } from "../types";
import { App, View } from "../view";
import { start_now } from "./start";
import { consent_card, question_card, tell_card } from "./needs";

const MANY = 8;

export class HomeView implements View {
    private wanted = "";
    constructor(private readonly app: App) {}
    title(): string {
        const { consents, questions, tells } = this.app.person;
        const waiting = consents.length + questions.length + tells.length;
        return waiting === 0 ? t("needs.none") : count("needs", waiting);
    }

    body(): Child {
        const { app } = this, { consents, questions, tells, running, queued } = app.person;
        return [
            consents.length + questions.length + tells.length > 0 && h("section", { key: "needs", "aria-label": t("needs.title") },
                consents.map(each => consent_card(app, each)), questions.map(each => question_card(app, each)), tells.map(each => tell_card(app, each))),
            h("section", { key: "running", "aria-labelledby": "running" }, h("h2", { id: "running" }, t("running.title")),
                running.length + queued.length === 0 ? h("p", { class: "dim" }, t("running.none")) : h("ul", { class: "rows" }, running.map(each => this.running(each)), queued.map(each =>
                    h("li", { class: "card", key: each.id }, h("div", { class: "line" }, h("h3", null, text(each.title || each.trigger)), pill("queued")), h("p", { class: "dim" }, t("running.mine"), " · ", t("running.asked", { time: time_text(each.asked) })))))),
            h("section", { key: "launch", "aria-labelledby": "launch" }, h("h2", { id: "launch" }, t("launch.title")), this.launcher()),
        ];
    }

    private running(each: Running): Child {
        const { app } = this, title = text(each.title);
        const stop = async () => {
            if (await app.ask({ title: t("running.stop.ask"), about: title, yes: t("ask.yes") }))
                await app.act(() => app.api.post(`jobs/${encodeURIComponent(each.job)}/cancel`, { why: "" }), t("running.stopped", { title }));
        };
        const percent = each.progress ? Math.max(0, Math.min(100, Math.round(each.progress.percent))) : 0;
        return h("li", { class: "card", key: each.job },
            h("div", { class: "line" }, h("h3", null, h("a", { href: `#/job/${encodeURIComponent(each.job)}` }, title)), pill(each.state),
                h("button", { class: "quiet end", disabled: each.state === "cancelling", "aria-label": t("running.stop.named", { title }), onClick: () => void stop() }, t("running.stop"))),
            h("p", { class: "dim" }, each.mine ? t("running.mine") : t("running.for", { who: text(each.for) }), each.started && [" · ", t("running.since", { time: time_text(each.started) })], each.step && [" · ", t("running.step", { step: text(each.step) })]),
            each.progress && [h("progress", { max: "100", value: percent, "aria-label": t("running.progress") }), h("p", null, t("running.percent", { percent }), each.progress.text && [" · ", text(each.progress.text)])]);
    }

    private launcher(): Child {
        const all = this.app.person.launchable;
        if (all.length === 0) return h("p", { class: "dim" }, t("launch.none"));
        const words = this.wanted.toLowerCase();
        const found = all.filter(each => `${each.title} ${each.description}`.toLowerCase().includes(words));
        return [
            all.length > MANY && h("div", { class: "field", key: "find" }, h("label", { for: "find" }, t("launch.find")),
                h("input", { id: "find", type: "search", autocomplete: "off", value: this.wanted, onInput: (event: Event) => { this.wanted = (event.target as HTMLInputElement).value; this.app.draw(); } })),
            h("p", { class: "dim", role: "status", key: "nothing" }, found.length === 0 && t("launch.nothing")),
            h("ul", { class: "tiles", key: "tiles" }, found.map(each => this.tile(each))),
        ];
    }

    private tile(each: Launchable): Child {
        const title = text(each.title), name = t("launch.start.named", { title });
        const why = each.paused ? t("launch.paused", { why: text(each.paused) }) : text(each.unavailable);
        return h("li", { class: "card", key: start_address(each) },
            h("h3", null, title), each.description && h("p", null, text(each.description)),
            h("p", { class: "dim" }, each.last ? t("launch.last", { state: text(state_text(each.last.state)), time: time_text(each.last.ended) }) : t("launch.never"), each.offline && [" · ", h("span", { class: "offline" }, t("launch.offline"))]),
            why && h("p", { class: "why", id: `why-${each.trigger}` }, why),
            h("div", { class: "actions" }, why ? h("button", { disabled: true, "aria-label": name, "aria-describedby": `why-${each.trigger}` }, t("launch.start"))
                : each.schema ? h("a", { class: "button", href: start_address(each), "aria-label": name }, t("launch.open"))
                    : h("button", { class: "main", disabled: this.app.busy, "aria-label": name, onClick: () => void start_now(this.app, each) }, t("launch.start"))));
    }
}
