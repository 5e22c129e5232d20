// What waits for the person: consents, questions, messages.
import { Child, h } from "../../../console/src/dom";
import { duration_text, time_text } from "../format";
import { deed_text, Key, t } from "../messages";
import { at_factory, text } from "../parts";
import { Consent, Question, Tell } from "../types";
import { App } from "../view";

const CHOICES = ["now", "later", "not_today"];

export function consent_card(app: App, each: Consent): Child {
    const title = text(each.title);
    const choose = (choice: string) => app.act(() => app.api.post(`consents/${encodeURIComponent(each.id)}`, { choice }), t(`consent.said.${choice}` as Key, { title, asker: text(each.asker) }));
    return h("article", { class: "card need", key: `consent-${each.id}`, "aria-labelledby": `consent-${each.id}` },
        h("h2", { id: `consent-${each.id}` }, t("consent.asker", { asker: text(each.asker), title })),
        each.description && h("p", null, text(each.description)),
        each.does.length > 0 && [h("p", { class: "label" }, t("consent.does")), h("ul", { class: "does" }, (each.deeds ? each.deeds.map(one => deed_text(one.code, text(one.what), text(one.text))) : each.does.map(text)).map(one => h("li", null, one)))],
        h("p", { class: "dim" }, each.expectedMs !== null && each.expectedMs !== undefined && `${t("consent.takes", { duration: duration_text(each.expectedMs) })} `, t("consent.until", { time: time_text(each.until) })),
        h("div", { class: "actions" }, CHOICES.filter(one => each.choices.includes(one)).map((one, i) =>
            h("button", { class: i === 0 ? "main" : undefined, disabled: app.busy, "aria-describedby": `consent-${each.id}`, onClick: () => void choose(one) }, t(`consent.${one}` as Key)))));
}

export function due_text(deadline: string | null): string {
    if (!deadline) return "";
    const left = Date.parse(deadline) - Date.now();
    return left > 0 ? t("question.deadline", { time: time_text(deadline), left: duration_text(left) }) : t("question.late");
}
/** Whether yes or no answers it. */
export const yes_or_no = (each: Question): boolean => each.kind === "approval" || each.kind === "approve" || each.schema === null || each.schema["type"] === "boolean" && !("const" in each.schema) && !("enum" in each.schema);

export function question_head(each: Question): Child {
    return h("p", { class: "dim" }, t(each.kind === "ask" ? "question.of" : "question.approval", { title: text(each.title) }), each.mark && ` ${text(each.mark)}`, " · ", t("question.asked", { time: time_text(each.asked) }));
}

export function question_card(app: App, each: Question): Child {
    const answer = (yes: boolean) => app.act(() => app.api.post(`questions/${encodeURIComponent(each.id)}`, { answer: yes, comment: "", ...at_factory(each) }), t("question.sent"));
    const address = `#/question/${encodeURIComponent(each.id)}`;
    return h("article", { class: "card need", key: `question-${each.id}`, "aria-labelledby": `question-${each.id}` },
        question_head(each), h("h2", { class: "long", id: `question-${each.id}` }, text(each.text)),
        each.deadline && h("p", { class: "dim" }, due_text(each.deadline)),
        h("div", { class: "actions" },
            yes_or_no(each) ? [
                h("button", { class: "main", disabled: app.busy, "aria-describedby": `question-${each.id}`, onClick: () => void answer(true) }, t("question.yes")),
                h("button", { disabled: app.busy, "aria-describedby": `question-${each.id}`, onClick: () => void answer(false) }, t("question.no")),
                h("a", { href: address }, t("question.comment"), h("span", { class: "unseen" }, ` ${text(each.text)}`)),
            ] : h("a", { class: "button main", href: address, "aria-label": t("question.open.named", { text: text(each.text) }) }, t("question.open"))));
}

export function tell_card(app: App, each: Tell): Child {
    return h("article", { class: "card need", key: `tell-${each.id}`, "aria-labelledby": `tell-${each.id}` },
        h("p", { class: "dim" }, t("tell.from", { title: text(each.title), time: time_text(each.at) })), h("p", { class: "long", id: `tell-${each.id}` }, text(each.text)),
        h("div", { class: "actions" }, h("button", { disabled: app.busy, "aria-label": t("tell.seen.named", { text: text(each.text).slice(0, 80) }), onClick: () => void app.act(() => app.api.post(`tells/${encodeURIComponent(each.id)}`), "") }, t("tell.seen"))));
}
