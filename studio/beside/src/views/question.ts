// One question, with the form that its schema makes; and one consent, when a notification led here.
import { Child, h } from "../../../console/src/dom";
import { Form } from "../form/form";
import { t } from "../messages";
import { at_factory, text } from "../parts";
import { Value } from "../types";
import { App, View } from "../view";
import { consent_card, due_text, question_head, yes_or_no } from "./needs";

export class QuestionView implements View {
    private form: Form | undefined;
    private here = true;   ///< nobody went elsewhere meanwhile
    private comment = "";
    constructor(private readonly app: App, private readonly id: string) {}

    private get it() { return this.app.person.questions.find(each => each.id === this.id); }
    title(): string { return this.it ? t("question.title") : t("question.gone"); }
    leave(): void {
        this.here = false;
        this.form = undefined;
    }

    body(): Child {
        const { app, it } = this;
        if (!it) return h("p", null, h("a", { href: "#/" }, t("app.home")));
        const simple = yes_or_no(it);
        if (!simple && !this.form) this.form = new Form(it.schema ?? {}, t("question.answer"), () => app.draw());
        const form = this.form;
        const send = (answer: Value) => app.act(async () => {
            await app.api.post(`questions/${encodeURIComponent(it.id)}`, { answer, comment: this.comment, ...at_factory(it) });
            if (this.here) app.go("#/");
        }, t("question.sent"), form && (mistakes => form.refused(mistakes)));
        const submit = (event: Event) => {
            event.preventDefault();
            const taken = app.busy ? undefined : this.form?.take();
            if (taken) void send(taken.value);
        };
        return [
            h("div", { key: "head" }, question_head(it)), h("p", { class: "asked long", id: "asked", key: "text" }, text(it.text)),
            it.deadline && h("p", { class: "dim", key: "due" }, due_text(it.deadline)),
            h("form", { novalidate: true, autocomplete: "off", key: "form", "aria-describedby": "asked", onSubmit: submit },
                !simple && this.form?.draw(),
                h("div", { class: "field" }, h("label", { for: "comment" }, t("question.comment")),
                    h("input", { id: "comment", type: "text", autocomplete: "off", maxlength: 500, value: this.comment, onInput: (event: Event) => { this.comment = (event.target as HTMLInputElement).value; } })),
                h("div", { class: "actions" }, simple ? [
                    h("button", { class: "main", type: "button", disabled: app.busy, "aria-describedby": "asked", onClick: () => void send(true) }, t("question.yes")),
                    h("button", { type: "button", disabled: app.busy, "aria-describedby": "asked", onClick: () => void send(false) }, t("question.no")),
                ] : h("button", { class: "main", type: "submit", disabled: app.busy }, t("question.send")))),
        ];
    }
}

export class ConsentView implements View {
    constructor(private readonly app: App, private readonly id: string) {}
    private get it() { return this.app.person.consents.find(each => each.id === this.id); }
    title(): string { return this.it ? t("consent.title") : t("consent.gone"); }
    body(): Child { return this.it ? consent_card(this.app, this.it) : h("p", null, h("a", { href: "#/" }, t("app.home"))); }
}
