// Starting something: its form, and the start itself. One id for each wish, so that a repeated click or a lost answer starts it once.
import { Child, h } from "../../../console/src/dom";
import { Mistake, Problem } from "../api";
import { t } from "../messages";
import { Form } from "../form/form";
import { at_factory, text } from "../parts";
import { Launchable, Value } from "../types";
import { App, View } from "../view";

const wishes = new Map<string, string>();

async function start(app: App, each: Launchable, input: Value, started: () => void, refused?: (mistakes: Mistake[]) => void): Promise<boolean> {
    const wish = `${each.factory ?? ""} ${each.trigger}`;
    const id = wishes.get(wish) ?? crypto.randomUUID();
    wishes.set(wish, id);
    let queued = false;
    return app.act(async () => {
        try {
            queued = ((await app.api.post<{ queued?: boolean }>("launch", { id, trigger: each.trigger, input, ...at_factory(each) })).queued) === true;
        } catch (error) {
            if (error instanceof Problem && error.status > 0 && error.status < 500) wishes.delete(wish);   // said no: the next one is another wish
            throw error;
        }
        wishes.delete(wish);
        started();
    }, () => t(queued ? "launch.queued" : "launch.started", { title: text(each.title) }), refused);
}
export const start_now = (app: App, each: Launchable): Promise<boolean> => start(app, each, {}, () => undefined);

export class StartView implements View {
    private form: Form | undefined;
    private here = true;   ///< nobody went elsewhere meanwhile
    private made = "";
    constructor(private readonly app: App, private readonly trigger: string, private readonly factory = "") {}

    private get it(): Launchable | undefined { return this.app.person.launchable.find(each => each.trigger === this.trigger && (this.factory === "" || each.factory === this.factory)); }
    title(): string { return this.it ? text(this.it.title) : t("launch.gone"); }
    leave(): void {
        this.here = false;
        this.form = undefined;   // and what was typed into it
    }

    body(): Child {
        const it = this.it;
        if (!it) return h("p", null, h("a", { href: "#/" }, t("app.home")));
        const schema = it.schema ?? { type: "object" };
        const now = JSON.stringify(schema);
        if (!this.form || this.made !== now) {   // another version asks for other things
            this.form = new Form(schema, text(it.title), () => this.app.draw());
            this.made = now;
        }
        const form = this.form;
        const submit = async (event: Event) => {
            event.preventDefault();
            if (this.app.busy) return;
            const taken = it.schema ? form.take() : { value: {} as Value };
            if (taken) await start(this.app, it, taken.value, () => { if (this.here) this.app.go("#/"); }, mistakes => form.refused(mistakes));
        };
        const why = it.paused ? t("launch.paused", { why: text(it.paused) }) : text(it.unavailable);
        return [
            it.description && h("p", { class: "long", key: "about" }, text(it.description)),
            h("p", { class: "dim", key: "facts" }, t("launch.where", { environment: text(it.environment) }), it.factory && [" · ", t("launch.factory", { factory: text(it.factory) })], it.package && [" · ", t("launch.version", { package: text(it.package.name), version: text(it.package.version) })], it.offline && [" · ", h("span", { class: "offline" }, t("launch.offline"))]),
            why && h("p", { class: "why", id: "why", key: "why" }, why),
            h("form", { novalidate: true, autocomplete: "off", key: "form", onSubmit: (event: Event) => void submit(event) },
                it.schema && form.draw(),
                h("div", { class: "actions" }, h("button", { class: "main", type: "submit", disabled: this.app.busy || why !== "", "aria-describedby": why ? "why" : undefined }, t("launch.start")))),
        ];
    }
}
