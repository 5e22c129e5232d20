// Pieces that several views are made of.
import { Child, h, VNode } from "../../console/src/dom";
import { visible } from "../../console/src/visible";
import { state_text } from "./messages";
import { json_pretty } from "./json";

/** What came from outside, with the characters that hide made to be seen. */
export const text = (of: unknown): string => visible(typeof of === "string" ? of : of === undefined || of === null ? "" : String(of));

const MOST_SHOWN = 20_000;
export const shortened = (of: string): string => of.length > MOST_SHOWN ? `${of.slice(0, MOST_SHOWN)} …` : of;

export const pill = (state: string): VNode => h("span", { class: `pill s-${/^[a-z_]+$/.test(state) ? state : "other"}` }, text(state_text(state)));

const plain = (value: unknown): boolean => value === null || ["string", "number", "boolean"].includes(typeof value);
/** A result: short facts as facts, everything else as JSON. */
export function value_shown(value: unknown): Child {
    if (value === undefined || value === null) return null;
    if (plain(value)) return h("p", { class: "long" }, text(shortened(String(value))));
    if (!Array.isArray(value)) {
        const rows = Object.entries(value as object);
        if (rows.length > 0 && rows.length <= 20 && rows.every(([, each]) => plain(each)))
            return h("dl", { class: "facts" }, rows.map(([name, each]) => h("div", null, h("dt", null, text(name)), h("dd", { class: "long" }, text(shortened(String(each)))))));
    }
    return h("pre", { tabindex: 0 }, text(shortened(json_pretty(value))));
}
/** What went wrong, in the words that it has for people. */
export function error_text(error: unknown): string {
    if (typeof error === "string") return error;
    const one = (error ?? {}) as Record<string, unknown>;
    const words = [one["title"], one["detail"]].filter((each): each is string => typeof each === "string" && each !== "");
    return words.length ? words.join(": ") : json_pretty(error);
}

/** Said back with what a row is about, where there are several factories. */
export const at_factory = (row: { factory?: string }): Record<string, string> => row.factory ? { factory: row.factory } : {};
/** Where its form is. */
export const start_address = (row: { trigger: string; factory?: string }): string => `#/start/${encodeURIComponent(row.trigger)}${row.factory ? `/${encodeURIComponent(row.factory)}` : ""}`;
