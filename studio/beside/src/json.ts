// JSON texts with whole numbers of any size: as `bigint` where a double would not be exact.
import { Value } from "./types";

export function json_text(value: Value): string {
    if (typeof value === "bigint") return value.toString();
    if (Array.isArray(value)) return `[${value.map(json_text).join(",")}]`;
    if (value !== null && typeof value === "object") return `{${Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}:${json_text(each)}`).join(",")}}`;
    return JSON.stringify(value);
}

export const json_pretty = (value: unknown): string => JSON.stringify(value, (_, each: unknown) => typeof each === "bigint" ? Number(each) : each, 2) ?? "";

/** Whether both are the same JSON value; the order of members does not matter. */
export function same(a: unknown, b: unknown): boolean {
    if (typeof a === "bigint" || typeof b === "bigint") return (typeof a === "bigint" || typeof a === "number") && (typeof b === "bigint" || typeof b === "number") && a == b;
    if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((each, i) => same(each, b[i]));
    if (a !== null && b !== null && typeof a === "object" && typeof b === "object" && !Array.isArray(a) && !Array.isArray(b)) {
        const left = a as Record<string, unknown>, right = b as Record<string, unknown>;
        return Object.keys(left).length === Object.keys(right).length && Object.keys(left).every(name => name in right && same(left[name], right[name]));
    }
    return a === b;
}
