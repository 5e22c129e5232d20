// A form that is made from a schema: drawn, filled in, checked, sent. Lives in memory only: nothing of it is stored.
import { Child, h } from "../../../console/src/dom";
import { Mistake } from "../api";
import { count } from "../messages";
import { text } from "../parts";
import { Schema, Value } from "../types";
import { field } from "./draw";
import { make, Maker, Mistakes, Node } from "./node";

export class Form {
    readonly maker: Maker;
    readonly top: Node;
    private tried = false;
    private loose: string[] = [];   ///< what the agent said of nothing that is drawn
    busy = false;

    constructor(schema: Schema, name: string, readonly redraw: () => void) {
        this.maker = new Maker(schema);
        this.top = this.maker.node(schema, "", true, undefined);
        if (!this.top.label) this.top.label = name;
    }

    made(): { value: Value; mistakes: Mistakes } {
        const mistakes: Mistakes = new Map();
        const value = make(this.top, mistakes).value;
        return { value: value === undefined ? null : value, mistakes };
    }
    /** The value when all is well; else the mistakes are shown, and the first has the focus. */
    take(): { value: Value } | undefined {
        this.tried = true;
        this.each(node => { node.said = []; });
        this.loose = [];
        const { value, mistakes } = this.made();
        if (mistakes.size === 0) return { value };
        this.redraw();
        this.focus_first();
        return undefined;
    }
    /** What the agent or the factory found, at the fields that it names, or at what is around them. */
    refused(list: Mistake[]): void {
        this.loose = [];
        for (const each of list) {
            let at: Node = this.top;
            for (const part of each.path.split("/").slice(1)) {
                const name = part.replace(/~1/g, "/").replace(/~0/g, "~");
                const next = at.kind.is === "list" ? at.below[Number(name)] : at.below.find(one => one.name === name);
                if (!next) break;
                at = next;
            }
            if (at === this.top && (at.kind.is === "group" || at.kind.is === "list")) this.loose.push(each.text);
            else at.said.push(each.text);
        }
        this.redraw();
        this.focus_first();
    }
    private each(what: (node: Node) => void, at = this.top): void {
        what(at);
        for (const one of at.below) this.each(what, one);
    }
    private focus_first(): void {
        requestAnimationFrame(() => (document.querySelector<HTMLElement>("form [aria-invalid='true'], form fieldset[data-wrong] > legend") ?? document.querySelector<HTMLElement>("form .summary"))?.focus());
    }

    draw(): Child {
        const { mistakes } = this.made();
        const show = (node: Node): string[] => [...(this.tried || node.left ? mistakes.get(node) ?? [] : []), ...node.said];
        let wrong = 0;
        this.each(node => { if (show(node).length) ++wrong; });
        return [
            h("div", { class: "summary", role: "alert", tabindex: -1, key: "summary" }, wrong > 0 && this.tried && h("p", { class: "bad" }, count("form.mistakes", wrong)), this.loose.map(each => h("p", { class: "bad" }, text(each)))),
            field(this.top, { form: this, show, depth: 0 }),
        ];
    }
}
