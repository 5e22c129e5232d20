// What every view is: it fetches, it draws what it has, and says which changes concern it.
import { Api, Problem } from "./api";
import { Child } from "./dom";
import { Route } from "./router";
import { FeedEvent } from "./types";

export interface Field { name: string; label: string; kind: "text" | "check" }
export interface Ask { title: string; text: string; yes: string; no: string; danger?: boolean; fields?: Field[] }

/** What a view may ask of the page around it. */
export interface App {
    readonly api: Api;
    may(role: "operator" | "developer" | "admin"): boolean;
    draw(): void;
    reload(): void;
    go(address: string): void;
    /** Asks before something is done; null: no. */
    ask(question: Ask): Promise<Record<string, string> | null>;
    /** A sentence that comes and goes, read aloud. */
    say(text: string, bad?: boolean): void;
    /** Does it, says how it went, fetches anew. */
    act(what: () => Promise<unknown>, done: string): Promise<boolean>;
}

export abstract class View {
    loaded = false;
    problem: Problem | undefined;
    readonly life = new AbortController();   ///< aborted when one goes elsewhere
    readonly open = new Set<string>();   ///< long texts that are shown whole
    constructor(readonly app: App, readonly route: Route) {}
    abstract title(): string;
    abstract fetch(signal: AbortSignal): Promise<void>;
    abstract body(): Child;
    actions(): Child { return null; }
    hears(_event: FeedEvent): boolean { return true; }
    /** Whether something on it counts seconds. */
    ticks(): boolean { return false; }
}
