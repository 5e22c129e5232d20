// One field of a form, with its label, its help and what is wrong with it.
import { Child, h, Props, VNode } from "../../../console/src/dom";
import { t } from "../messages";
import { text } from "../parts";
import { Form } from "./form";
import { json_pretty } from "../json";
import { zone_at } from "./moment";
import { Option } from "./kind";
import { Node } from "./node";

interface Around { form: Form; show: (node: Node) => string[]; depth: number }

function changed(node: Node, around: Around, change: () => void): void {
    change();
    node.said = [];
    around.form.redraw();
}

/** With the frame after the one that draws the change. */
const once_drawn = (what: () => void) => requestAnimationFrame(() => requestAnimationFrame(what));

/** Of a member: an item of a list is there because somebody added it. */
const needed = (node: Node): Child => node.name !== "" && h("span", { class: "mark" }, node.required && !node.nullable ? t("form.needed") : t("form.optional"));

/** What every control says to those who do not see it. */
function spoken(node: Node, around: Around, more: string[] = []): Props {
    const wrong = around.show(node).length > 0;
    const about = [node.help && `${node.id}-help`, ...more, wrong && `${node.id}-wrong`].filter(Boolean).join(" ");
    return { id: node.id, "aria-describedby": about || undefined, "aria-invalid": wrong ? "true" : undefined, "aria-required": node.required && !node.nullable ? "true" : undefined,
        onBlur: () => { if (!node.left && (node.text || node.picked.length)) { node.left = true; around.form.redraw(); } } };
}
const help = (node: Node): Child => node.help && h("p", { class: "help", id: `${node.id}-help` }, text(node.help));
const wrong = (node: Node, around: Around): Child => h("div", { class: "wrong", id: `${node.id}-wrong`, key: "wrong" }, around.show(node).map(each => h("p", { class: "bad" }, text(each))));

const TYPES: Record<string, string> = { secret: "password", date: "date", time: "time", "date-time": "datetime-local" };

function typed(node: Node, around: Around): VNode {
    const kind = node.kind;
    const look = kind.is === "text" || kind.is === "moment" ? kind.look : "";
    const area = look === "lines" || kind.is === "json";
    const secret = look === "secret";
    const notes = [kind.is === "json" && `${node.id}-note`, look === "date-time" && `${node.id}-zone`].filter((each): each is string => Boolean(each));
    const props: Props = {
        ...spoken(node, around, notes), value: node.text, autocomplete: secret ? "new-password" : "off", spellcheck: secret || kind.is === "json" ? "false" : undefined,
        onInput: (event: Event) => changed(node, around, () => { node.text = (event.target as HTMLInputElement).value; }),
    };
    if (area) return h("textarea", { ...props, rows: kind.is === "json" ? 6 : 4, class: kind.is === "json" ? "code" : undefined });
    return h("input", { ...props, type: secret && node.shown ? "text" : TYPES[look] ?? "text",
        inputmode: kind.is === "number" ? (kind.whole && !((node.schema["minimum"] as number ?? -1) < 0) ? "numeric" : "decimal") : look === "email" ? "email" : look === "uri" ? "url" : undefined });
}

const option_text = (each: Option): string => typeof each.value === "boolean" && each.label === String(each.value) ? t(each.value ? "form.yes" : "form.no") : text(each.label);

function chosen(node: Node, around: Around): VNode {
    const options = node.kind.is === "choice" ? node.kind.options : [];
    const at = node.picked[0] ?? -1;
    return h("select", { ...spoken(node, around), value: String(at), onChange: (event: Event) => changed(node, around, () => { const i = Number((event.target as HTMLSelectElement).value); node.picked = i < 0 ? [] : [i]; }) },
        h("option", { value: "-1" }, node.required && !node.nullable ? t("form.choose") : t("form.none")),
        options.map((each, i) => h("option", { value: String(i), title: each.help || undefined }, option_text(each))));
}

function framed(node: Node, around: Around, inside: Child): VNode {
    return h("fieldset", { id: node.id, key: node.id, "aria-describedby": [node.help && `${node.id}-help`, around.show(node).length && `${node.id}-wrong`].filter(Boolean).join(" ") || undefined, "data-wrong": around.show(node).length > 0 },
        h("legend", { tabindex: -1 }, h("span", null, text(node.label)), " ", around.depth > 0 && needed(node)), help(node), inside, wrong(node, around));
}

function list(node: Node, around: Around): VNode {
    const most = typeof node.schema["maxItems"] === "number" ? node.schema["maxItems"] : 100;
    const plain = (i: number) => t("form.item", { name: node.label || t("form.entry"), number: i + 1 });
    node.below.forEach((each, i) => { if (!each.schema["title"]) each.label = plain(i); });
    const remove = (at: Node) => changed(node, around, () => {
        node.below = node.below.filter(each => each !== at);
        once_drawn(() => document.getElementById(`${node.id}-add`)?.focus());
    });
    const add = () => changed(node, around, () => {
        const item = around.form.maker.item(node, undefined, around.depth);
        node.below.push(item);
        node.left = true;
        once_drawn(() => (document.getElementById(item.id)?.matches("fieldset") ? document.querySelector<HTMLElement>(`#${item.id} input, #${item.id} select, #${item.id} textarea`) : document.getElementById(item.id))?.focus());
    });
    return framed(node, around, [
        h("ol", { class: "items" }, node.below.map((each, i) => h("li", { key: each.id }, field(each, { ...around, depth: around.depth + 1 }),
            h("button", { type: "button", class: "quiet", "aria-label": t("form.remove.named", { name: plain(i) }), onClick: () => remove(each) }, t("form.remove"))))),
        h("button", { type: "button", class: "quiet", id: `${node.id}-add`, disabled: node.below.length >= most, "aria-label": t("form.add.named", { name: node.label || t("form.entry") }), onClick: add }, t("form.add")),
    ]);
}

export function field(node: Node, around: Around): VNode {
    const kind = node.kind;
    switch (kind.is) {
    case "group": {
        const inside = node.below.map(each => field(each, { ...around, depth: around.depth + 1 }));
        return around.depth === 0 ? h("div", { class: "fields", key: node.id }, help(node), inside) : framed(node, around, h("div", { class: "fields" }, inside));
    }
    case "list": return list(node, around);
    case "choices": return framed(node, around, kind.options.map((each, i) => h("label", { class: "tick" },
        h("input", { type: "checkbox", "aria-describedby": around.show(node).length ? `${node.id}-wrong` : undefined, checked: node.picked.includes(i), onChange: (event: Event) => changed(node, around, () => {
            node.picked = (event.target as HTMLInputElement).checked ? [...node.picked, i].sort((a, b) => a - b) : node.picked.filter(one => one !== i);
            node.left = true;
        }) }), h("span", null, option_text(each)))));
    case "tick": return h("div", { class: "field", key: node.id },
        h("label", { class: "tick" }, h("input", { ...spoken(node, around), "aria-required": kind.must ? "true" : undefined, type: "checkbox", checked: node.on, onChange: (event: Event) => changed(node, around, () => {
            node.on = (event.target as HTMLInputElement).checked;
            node.touched = true;
            node.left = true;
        }) }), h("span", null, text(node.label)), " ", kind.must && h("span", { class: "mark" }, t("form.needed"))), help(node), wrong(node, around));
    case "fixed": return h("div", { class: "field", key: node.id }, h("p", { class: "label" }, text(node.label)), help(node), h("p", null, kind.value === null ? t("form.none") : text(typeof kind.value === "string" ? kind.value : json_pretty(kind.value))), wrong(node, around));
    default: {
        const secret = kind.is === "text" && kind.look === "secret";
        return h("div", { class: "field", key: node.id },
            h("label", { for: node.id }, h("span", null, text(node.label || t("question.answer"))), " ", needed(node)), help(node),
            kind.is === "json" && h("p", { class: "help", id: `${node.id}-note` }, t("form.json")),
            h("div", { class: "control" }, kind.is === "choice" ? chosen(node, around) : typed(node, around),
                secret && h("button", { type: "button", class: "quiet", "aria-label": t(node.shown ? "form.hide.named" : "form.show.named", { name: node.label }), onClick: () => { node.shown = !node.shown; around.form.redraw(); } }, t(node.shown ? "form.hide" : "form.show"))),
            kind.is === "moment" && kind.look === "date-time" && h("p", { class: "help", id: `${node.id}-zone` }, t("form.zone", { zone: zone_at(node.text ? new Date(node.text) : new Date()) })),
            wrong(node, around));
    }
    }
}
