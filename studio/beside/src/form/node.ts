// A form as values: what was typed and chosen so far, and what JSON it makes.
import { same } from "../json";
import { number_shown, read_number } from "./number";
import { Schema, Value } from "../types";
import { t } from "../messages";
import { list_mistakes, number_mistakes, text_mistakes, type_mistakes } from "./check";
import { Drawn, drawn, Kind, owns } from "./kind";
import { held_of, moment_of } from "./moment";

const DEEPEST = 8, MOST_NODES = 500;

export interface Node {
    id: string;
    name: string;           ///< as a member is called; "" for the whole
    label: string; help: string;
    required: boolean; nullable: boolean;
    kind: Kind; schema: Schema;
    text: string;           ///< typed
    on: boolean; touched: boolean;
    picked: number[];       ///< chosen options
    below: Node[];          ///< members, or items
    left: boolean;          ///< the person was here and went on: mistakes may be shown
    shown: boolean;         ///< a secret in plain
    said: string[];         ///< mistakes that the agent or the factory found
}
/** What a node makes of what it holds. `value` undefined: it is left out. */
export interface Made { value: Value | undefined; given: boolean }
export type Mistakes = Map<Node, string[]>;

export class Maker {
    private made = 0;
    constructor(readonly root: Schema) {}

    node(schema: Schema, name: string, required: boolean, start: unknown, depth = 0): Node {
        let how: Drawn = drawn(schema, this.root, required);
        if (depth > DEEPEST || this.made > MOST_NODES) how = { kind: { is: "json" }, schema: how.schema, nullable: false };
        const text = (key: string) => typeof how.schema[key] === "string" ? how.schema[key] as string : "";
        const out: Node = {
            id: `f${++this.made}`, name, label: text("title") || name, help: text("description"), required, nullable: how.nullable, kind: how.kind, schema: how.schema,
            text: "", on: false, touched: false, picked: [], below: [], left: false, shown: false, said: [],
        };
        this.fill(out, start === undefined ? how.schema["default"] : start, depth);
        return out;
    }
    item(list: Node, start: unknown, depth: number): Node {
        const kind = list.kind as Extract<Kind, { is: "list" }>;
        return this.node(kind.item, "", true, start, depth + 1);
    }
    private fill(node: Node, start: unknown, depth: number): void {
        const kind = node.kind;
        if (kind.is === "group") {
            const values = typeof start === "object" && start !== null && !Array.isArray(start) ? start as Record<string, unknown> : {};
            node.below = kind.members.map(([name, schema]) => this.node(schema, name, kind.required.has(name), owns(values, name) ? values[name] : undefined, depth + 1));
        } else if (kind.is === "list") {
            const values: unknown[] = Array.isArray(start) ? start : [];
            const least = node.required && typeof node.schema["minItems"] === "number" ? Math.min(node.schema["minItems"], 20) : 0;
            for (let i = 0; i < Math.max(values.length, least); ++i) node.below.push(this.item(node, values[i], depth));
        } else if (start === undefined || start === null) {
            return;
        } else if (kind.is === "choice") {
            const index = kind.options.findIndex(each => same(each.value, start));
            if (index >= 0) node.picked = [index];
        } else if (kind.is === "choices") {
            if (Array.isArray(start)) node.picked = kind.options.flatMap((each, i) => start.some(one => same(one, each.value)) ? [i] : []);
        } else if (kind.is === "tick") {
            node.on = start === true;
            node.touched = true;
        } else if (kind.is === "moment") node.text = typeof start === "string" ? held_of(kind.look, start) : "";
        else if (kind.is === "number") node.text = typeof start === "number" ? number_shown(start) : "";
        else if (kind.is === "json") node.text = JSON.stringify(start, null, 2);
        else if (kind.is === "text") node.text = typeof start === "string" ? start : "";
    }
}

const nothing = (node: Node): Made => ({ value: node.nullable && node.required ? null : undefined, given: false });

function wrong(node: Node, mistakes: Mistakes, texts: string[]): void {
    if (texts.length) mistakes.set(node, texts);
}

/** The value of a node that something was typed into. */
function typed(node: Node, mistakes: Mistakes): Value | undefined {
    const kind = node.kind;
    if (kind.is === "number") {
        const read = read_number(node.text, kind.whole);
        wrong(node, mistakes, "mistake" in read ? [read.mistake] : number_mistakes(node.schema, read.value));
        return "value" in read ? read.value : undefined;
    }
    if (kind.is === "moment") {
        const moment = moment_of(kind.look, node.text);
        wrong(node, mistakes, moment === undefined ? [t(`mistake.${kind.look}`)] : []);
        return moment;
    }
    if (kind.is === "json") {
        try {
            const value = JSON.parse(node.text) as Value;
            wrong(node, mistakes, type_mistakes(node.schema, value));
            return value;
        } catch (error) {
            wrong(node, mistakes, [t("mistake.json", { why: error instanceof Error ? error.message : "" })]);
            return undefined;
        }
    }
    const look = (kind as Extract<Kind, { is: "text" }>).look;
    const text = look === "email" || look === "uri" ? node.text.trim() : node.text;
    wrong(node, mistakes, text_mistakes(node.schema, look, text));
    return text;
}

export function make(node: Node, mistakes: Mistakes): Made {
    const kind = node.kind;
    switch (kind.is) {
    case "fixed": return { value: kind.value, given: false };
    case "tick": {
        if (kind.must && !node.on) wrong(node, mistakes, [t("mistake.tick")]);
        if ("const" in node.schema && !node.on) return { value: undefined, given: false };
        return node.touched || node.required ? { value: node.on, given: node.touched } : { value: undefined, given: false };
    }
    case "choice": {
        const option = kind.options[node.picked[0] ?? -1];
        if (option) return { value: option.value, given: true };
        if (node.required && !node.nullable) wrong(node, mistakes, [t("mistake.choose")]);
        return nothing(node);
    }
    case "choices": {
        const values = node.picked.map(i => kind.options[i]!.value);
        const given = values.length > 0;
        if (!given && !node.required) return { value: undefined, given };
        wrong(node, mistakes, list_mistakes(node.schema, values));
        return { value: values, given };
    }
    case "list": {
        const inner: Mistakes = new Map();
        const parts = node.below.map(each => make(each, inner));
        const values = parts.map(each => each.value ?? null);
        const given = node.below.length > 0;
        if (!given && !node.required) return { value: undefined, given };
        for (const [each, texts] of inner) mistakes.set(each, texts);
        wrong(node, mistakes, list_mistakes(node.schema, inner.size ? values.map((each, i) => parts[i]!.value === undefined ? `\u0000${i}` : each) : values));   // what is wrong is no double of anything
        return { value: values, given };
    }
    case "group": {
        const inner: Mistakes = new Map(), out: { [name: string]: Value } = {};
        let given = false;
        for (const each of node.below) {
            const made = make(each, inner);
            if (made.value !== undefined) Object.defineProperty(out, each.name, { value: made.value, enumerable: true, configurable: true, writable: true });   // __proto__, too
            given = given || made.given;
        }
        if (!given && !node.required) return { value: undefined, given };       // nothing was said of it, so nothing in it is missing
        if (!given && node.nullable) return { value: null, given };
        for (const [each, texts] of inner) mistakes.set(each, texts);
        return { value: out, given };
    }
    default: {
        if (node.text !== "") return { value: typed(node, mistakes), given: true };
        if (kind.is === "text" && node.required && !node.nullable && node.schema["minLength"] === 0) return { value: "", given: false };
        if (node.required && !node.nullable) wrong(node, mistakes, [t("mistake.needed")]);
        return nothing(node);
    }
    }
}
