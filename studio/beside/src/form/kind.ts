// What of JSON Schema (draft 7) can be drawn as a field, and as which one; everything else is a box for JSON.
import { Schema, Value } from "../types";

export interface Option { value: Value; label: string; help: string }
export type Kind =
    | { is: "text"; look: "line" | "lines" | "secret" | "email" | "uri" }
    | { is: "moment"; look: "date" | "time" | "date-time" }
    | { is: "number"; whole: boolean }
    | { is: "tick"; must: boolean }
    | { is: "choice"; options: Option[] }
    | { is: "choices"; options: Option[] }
    | { is: "fixed"; value: Value }
    | { is: "list"; item: Schema }
    | { is: "group"; members: [string, Schema][]; required: Set<string> }
    | { is: "json" };
export interface Drawn { kind: Kind; schema: Schema; nullable: boolean }

const DEEPEST = 8;   // of alternatives within alternatives: a schema may name itself
const MOST_MEMBERS = 200, MOST_OPTIONS = 1000, LONG = 200;
const is_schema = (it: unknown): it is Schema => typeof it === "object" && it !== null && !Array.isArray(it);
export const owns = (it: object, name: string): boolean => Object.prototype.hasOwnProperty.call(it, name);
const texts = (it: unknown): string[] => Array.isArray(it) ? it.filter((each): each is string => typeof each === "string") : [];

/** Follows a `$ref` within `root`; what is said beside it about title, help and default counts. */
export function resolve(schema: unknown, root: Schema, depth = 0): Schema | undefined {
    if (!is_schema(schema)) return undefined;
    const reference = schema["$ref"];
    if (reference === undefined) return schema;
    if (typeof reference !== "string" || depth > 16) return undefined;
    let at: unknown = root;
    for (const part of reference.split("/").slice(1)) {
        const name = decodeURIComponent(part).replace(/~1/g, "/").replace(/~0/g, "~");
        at = is_schema(at) && owns(at, name) ? at[name] : Array.isArray(at) ? at[Number(name)] : undefined;
    }
    const found = reference.startsWith("#") ? resolve(at, root, depth + 1) : undefined;
    if (!found) return undefined;
    const beside: Schema = {};
    for (const name of ["title", "description", "default"]) if (name in schema) beside[name] = schema[name];
    return { ...found, ...beside };
}

const labelled = (value: Value, title: unknown, help: unknown): Option =>
    ({ value, label: typeof title === "string" && title ? title : typeof value === "string" ? value : JSON.stringify(value), help: typeof help === "string" ? help : "" });

/** Alternatives that are single values: [{const, title}, …]. */
function named_values(list: unknown, root: Schema): Option[] | undefined {
    if (!Array.isArray(list) || list.length === 0 || list.length > MOST_OPTIONS) return undefined;
    const options: Option[] = [];
    for (const each of list) {
        const one = resolve(each, root);
        const only = one && ("const" in one ? [one["const"]] : Array.isArray(one["enum"]) && one["enum"].length === 1 ? one["enum"] : one["type"] === "null" ? [null] : undefined);
        if (!one || !only) return undefined;
        options.push(labelled(only[0] as Value, one["title"], one["description"]));
    }
    return options;
}

/** allOf of plain objects is one object. */
function merged(schema: Schema, root: Schema, depth = 0): Schema | undefined {
    const parts = schema["allOf"];
    if (!Array.isArray(parts)) return schema;
    if (depth > DEEPEST) return undefined;
    let out: Schema = { ...schema };
    delete out["allOf"];
    for (const each of parts) {
        const raw = resolve(each, root);
        const part = raw && merged(raw, root, depth + 1);
        if (!part) return undefined;
        for (const [name, value] of Object.entries(part)) {
            if (name === "properties") out = { ...out, properties: { ...(value as object), ...(out["properties"] as object | undefined) } };
            else if (name === "required") out = { ...out, required: [...texts(out["required"]), ...texts(value)] };
            else if (!(name in out)) out[name] = value;
            else if (!["title", "description", "$schema", "$id", "$comment", "definitions", "$defs"].includes(name) && JSON.stringify(out[name]) !== JSON.stringify(value)) return undefined;
        }
        const known = out["properties"] as Record<string, unknown> | undefined, more = part["properties"] as Record<string, unknown> | undefined;
        if (known && more) for (const name of Object.keys(more)) if (JSON.stringify(known[name]) !== JSON.stringify(more[name])) return undefined;
    }
    return out;
}

function type_of(schema: Schema): string {
    const type = schema["type"];
    if (typeof type === "string") return type;
    if (type !== undefined) return "";
    const has = (...names: string[]) => names.some(name => name in schema);
    if (has("properties")) return "object";
    if (has("items", "minItems", "maxItems", "uniqueItems")) return "array";
    if (has("minLength", "maxLength", "pattern", "format")) return "string";
    if (has("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")) return "number";
    return "";
}

function text_kind(schema: Schema): Kind {
    const format = schema["format"];
    if (format === "password" || schema["writeOnly"] === true) return { is: "text", look: "secret" };
    if (format === "date" || format === "time" || format === "date-time") return { is: "moment", look: format };
    if (format === "email" || format === "uri") return { is: "text", look: format };
    const long = typeof schema["maxLength"] === "number" && schema["maxLength"] > LONG || typeof schema["contentMediaType"] === "string" || schema["format"] === "multiline";
    return { is: "text", look: long ? "lines" : "line" };
}

function list_kind(schema: Schema, root: Schema): Kind {
    const item = resolve(schema["items"], root);
    if (!item) return { is: "json" };
    if (schema["uniqueItems"] === true && ["enum", "oneOf", "anyOf"].some(name => name in item)) {
        const inner = drawn(item, root, true);
        if (inner.kind.is === "choice" && !inner.nullable) return { is: "choices", options: inner.kind.options };
    }
    return { is: "list", item };
}

function group_kind(schema: Schema, root: Schema): Kind {
    const members = Object.entries(is_schema(schema["properties"]) ? schema["properties"] : {});
    // Which members there are depends on others: no form can say that.
    const depends = ["oneOf", "anyOf", "not", "if", "then", "else", "dependencies", "allOf"].some(name => name in schema);
    if (members.length === 0 || members.length > MOST_MEMBERS || depends) return { is: "json" };
    const out: [string, Schema][] = [];
    for (const [name, each] of members) {
        if (each === false) continue;
        out.push([name, resolve(each, root) ?? {}]);
    }
    const required = texts(schema["required"]);
    if (required.some(name => !members.some(([known]) => known === name))) return { is: "json" };   // needed, and nothing is said of it
    return { is: "group", members: out, required: new Set(required) };
}

/** A tick has no third state: with `null` beside it, it is a choice. */
function or_nothing(inner: Drawn): Drawn {
    if (inner.kind.is !== "tick" || inner.kind.must) return { ...inner, nullable: true };
    const values: Value[] = "const" in inner.schema ? [true] : [true, false];
    return { ...inner, kind: { is: "choice", options: values.map(each => labelled(each, undefined, undefined)) }, nullable: true };
}

export function drawn(given: Schema, root: Schema, required: boolean, depth = 0): Drawn {
    const schema = merged(given, root) ?? given;
    if (depth > DEEPEST) return { kind: { is: "json" }, schema, nullable: false };
    const as = (kind: Kind, nullable = false, of: Schema = schema): Drawn => ({ kind, schema: of, nullable });
    if ("const" in schema) {
        if (schema["const"] === true) return as({ is: "tick", must: required });
        return as(required ? { is: "fixed", value: schema["const"] as Value } : { is: "choice", options: [labelled(schema["const"] as Value, undefined, undefined)] });
    }
    if (Array.isArray(schema["enum"])) {
        const values = schema["enum"] as Value[];
        if (values.length > MOST_OPTIONS) return as({ is: "json" });
        return as({ is: "choice", options: values.filter(each => each !== null).map(each => labelled(each, undefined, undefined)) }, values.includes(null));
    }
    for (const name of ["oneOf", "anyOf"]) {
        const list = schema[name];
        if (!Array.isArray(list) || "properties" in schema) continue;
        const options = named_values(list, root);
        if (options) return as({ is: "choice", options: options.filter(each => each.value !== null) }, options.some(each => each.value === null));
        const rest = list.filter(each => resolve(each, root)?.["type"] !== "null");
        const only = rest.length === 1 && list.length === 2 ? resolve(rest[0], root) : undefined;
        if (!only) return as({ is: "json" });
        const { [name]: _, ...beside } = schema;
        return or_nothing(drawn({ ...only, ...beside }, root, required, depth + 1));
    }
    const type = schema["type"];
    if (Array.isArray(type)) {
        const rest = texts(type).filter(each => each !== "null");
        if (rest.length !== 1) return as({ is: "json" });
        const inner = drawn({ ...schema, type: rest[0] }, root, required, depth + 1);
        return rest.length < type.length ? or_nothing(inner) : inner;
    }
    switch (type_of(schema)) {
    case "string": return as(text_kind(schema));
    case "integer": return as({ is: "number", whole: true });
    case "number": return as({ is: "number", whole: false });
    case "boolean": return as({ is: "tick", must: false });
    case "null": return as({ is: "fixed", value: null });
    case "array": return as(list_kind(schema, root));
    case "object": return as(group_kind(schema, root));
    default: return as({ is: "json" });
    }
}
