// Whether a value fits what its schema says of it, and the words for where it does not. What is not checked here the agent and the factory check.
import { same } from "../json";
import { t } from "../messages";
import { Schema, Value } from "../types";
import { number_shown } from "./number";

const limit = (schema: Schema, name: string): number | undefined => typeof schema[name] === "number" ? schema[name] as number : undefined;
const LONGEST_MATCHED = 10_000;

function matches(pattern: string, text: string): boolean {
    try {
        return text.length > LONGEST_MATCHED || new RegExp(pattern, "u").test(text);
    } catch {
        return true;   // not one that this browser knows
    }
}

function multiple(value: number | bigint, of: number): boolean {
    if (!(of > 0)) return true;
    if (typeof value === "bigint") return !Number.isInteger(of) || value % BigInt(of) === 0n;
    const times = value / of;
    return Math.abs(times - Math.round(times)) <= 1e-9 * Math.max(1, Math.abs(times));
}

export function number_mistakes(schema: Schema, value: number | bigint): string[] {
    const out: string[] = [];
    const say = (key: "mistake.minimum" | "mistake.maximum" | "mistake.above" | "mistake.below" | "mistake.multiple", at: number) => out.push(t(key, { limit: number_shown(at) }));
    const minimum = limit(schema, "minimum"), maximum = limit(schema, "maximum"), above = limit(schema, "exclusiveMinimum"), below = limit(schema, "exclusiveMaximum"), of = limit(schema, "multipleOf");
    if (minimum !== undefined && value < minimum) say("mistake.minimum", minimum);
    if (maximum !== undefined && value > maximum) say("mistake.maximum", maximum);
    if (above !== undefined && value <= above) say("mistake.above", above);
    if (below !== undefined && value >= below) say("mistake.below", below);
    if (of !== undefined && !multiple(value, of)) say("mistake.multiple", of);
    return out;
}

export function text_mistakes(schema: Schema, look: string, text: string): string[] {
    const out: string[] = [];
    const length = [...text].length, minimum = limit(schema, "minLength"), maximum = limit(schema, "maxLength"), pattern = schema["pattern"];
    if (minimum !== undefined && length < minimum) out.push(t("mistake.short", { limit: minimum, count: length }));
    if (maximum !== undefined && length > maximum) out.push(t("mistake.long", { limit: maximum, count: length }));
    if (typeof pattern === "string" && !matches(pattern, text)) out.push(t("mistake.pattern", { pattern }));
    if (look === "email" && !/^[^\s@]+@[^\s@]+\.[^\s@.]+$/.test(text)) out.push(t("mistake.email"));
    if (look === "uri" && !/^[a-z][a-z0-9+.-]*:[^\s]+$/i.test(text)) out.push(t("mistake.uri"));
    return out;
}

export function list_mistakes(schema: Schema, values: Value[]): string[] {
    const out: string[] = [];
    const minimum = limit(schema, "minItems"), maximum = limit(schema, "maxItems");
    if (minimum !== undefined && values.length < minimum) out.push(t("mistake.few", { limit: minimum }));
    if (maximum !== undefined && values.length > maximum) out.push(t("mistake.much", { limit: maximum }));
    if (schema["uniqueItems"] === true && values.some((each, i) => values.slice(0, i).some(before => same(before, each)))) out.push(t("mistake.twice"));
    return out;
}

/** Of a box for JSON: the kind of value. */
export function type_mistakes(schema: Schema, value: Value): string[] {
    const type = schema["type"];
    if (type === undefined) return [];
    const types = Array.isArray(type) ? type.map(String) : [String(type)];
    const is = value === null ? "null" : Array.isArray(value) ? "array" : typeof value === "bigint" ? "integer" : typeof value;
    const fits = types.includes(is) || is === "integer" && types.includes("number") || is === "number" && types.includes("integer") && Number.isInteger(value);
    return fits ? [] : [t("mistake.type", { type: types.join(", ") })];
}
