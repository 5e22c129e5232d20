// The page's own server: a link is exchanged once; then everything is asked with the cookie and the key of this window.
import { json_text } from "./json";
import { Value } from "./types";

export interface Mistake { path: string; text: string }
/** What could not be done, in the agent's words, and as a code that has words in the catalogue. `status` 0: nobody answered. */
export class Problem extends Error {
    constructor(readonly status: number, readonly detail: string, readonly mistakes: Mistake[] = [], readonly code = "", readonly by = "") { super(detail); }
}

const KEY = "millwright-key";   // good for nothing without the cookie, which scripts do not see
const PATIENCE = 15_000;

function mistakes_of(list: unknown): Mistake[] {
    if (!Array.isArray(list)) return [];
    return list.map(each => {
        if (typeof each === "string") {   // "POINTER: what"
            const colon = each.indexOf(": ");
            return colon < 0 || !each.startsWith("/") ? { path: "", text: each } : { path: each.slice(0, colon) === "/" ? "" : each.slice(0, colon), text: each.slice(colon + 2) };
        }
        const one = (each ?? {}) as Record<string, unknown>;
        return { path: one["path"] === "/" ? "" : String(one["path"] ?? ""), text: String(one["text"] ?? "") };
    });
}

export class Api {
    /** The session is over: its companion was started anew, or half a day went by. */
    ended: () => void = () => undefined;
    private key = sessionStorage.getItem(KEY) ?? "";

    get open(): boolean { return this.key !== ""; }
    async enter(secret: string): Promise<void> {
        const said = await this.call("POST", "session", { secret }, { key: "1" }) as { key: string };
        this.key = said.key;
        sessionStorage.setItem(KEY, said.key);
    }
    leave(): void {
        this.key = "";
        sessionStorage.removeItem(KEY);
    }

    async call(method: string, path: string, body: Value | undefined, options: { key?: string; signal?: AbortSignal; patience?: number } = {}): Promise<unknown> {
        const key = options.key ?? this.key;
        const limit = new AbortController();
        const timer = setTimeout(() => limit.abort(), options.patience ?? PATIENCE);
        options.signal?.addEventListener("abort", () => limit.abort());
        try {
            const headers: Record<string, string> = { "X-Millwright": key };
            const init: RequestInit = { method, headers, cache: "no-store", credentials: "same-origin", redirect: "error", referrerPolicy: "no-referrer", signal: limit.signal };
            if (body !== undefined) {
                headers["Content-Type"] = "application/json";
                init.body = json_text(body);
            }
            const response = await fetch(path, init);
            const said = await response.json().catch(() => ({})) as Record<string, unknown>;
            if (response.ok) return said;
            if (response.status === 401 && key === this.key) {
                this.leave();
                this.ended();
            }
            const word = (name: string, other = ""): string => {
                const one = said[name];
                return typeof one === "string" ? one : other;
            };
            throw new Problem(response.status, word("detail", String(response.status)), mistakes_of(said["mistakes"]), word("code"), word("by"));
        } catch (error) {
            throw error instanceof Problem ? error : new Problem(0, "");
        } finally {
            clearTimeout(timer);
        }
    }
    get<T>(path: string, options: { signal?: AbortSignal; patience?: number } = {}): Promise<T> { return this.call("GET", `api/v1/${path}`, undefined, options) as Promise<T>; }
    post<T>(path: string, body: Value = {}): Promise<T> { return this.call("POST", `api/v1/${path}`, body) as Promise<T>; }
}
