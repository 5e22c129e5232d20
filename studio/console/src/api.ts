// The factory's API: one call at a time with the token, and errors as the problem documents that they are.

/** What could not be done, as the factory says it. `status` 0: it was not reached. */
export class Problem extends Error {
    constructor(readonly status: number, readonly title: string, readonly detail: string, readonly code: string, readonly mistakes: string[] = []) { super(detail || title); }
}

const PATIENCE = 30_000;

async function problem_of(response: Response): Promise<Problem> {
    let body: Record<string, unknown> = {};
    try {
        body = await response.json() as Record<string, unknown>;
    } catch { /* a proxy's page: its status says what there is */ }
    const text = (name: string) => typeof body[name] === "string" ? body[name] as string : "";
    const code = text("type").replace(/^urn:millwright:problem:/, "");
    const mistakes = Array.isArray(body["mistakes"]) ? (body["mistakes"] as unknown[]).map(String) : [];
    return new Problem(response.status, text("title") || response.statusText || String(response.status), text("detail"), code === "about:blank" ? "" : code, mistakes);
}

export class Api {
    token = "";
    /** Called when the token is not valid (any more), with the factory's words. */
    refused: (problem: Problem) => void = () => undefined;
    unreachable = "The factory cannot be reached";

    async open(method: string, path: string, options: { body?: unknown; headers?: Record<string, string>; signal?: AbortSignal; extra?: boolean } = {}): Promise<Response> {
        const headers: Record<string, string> = { ...options.headers, Authorization: `Bearer ${this.token}` };
        const init: RequestInit = { method, headers, cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" };
        if (options.signal) init.signal = options.signal;
        if (options.body !== undefined) {
            headers["Content-Type"] = "application/json";
            init.body = JSON.stringify(options.body);
        }
        const used = this.token;
        let response: Response;
        try {
            response = await fetch(path, init);
        } catch (error) {
            if (options.signal?.aborted && options.signal.reason instanceof Stopped) throw options.signal.reason;
            throw new Problem(0, this.unreachable, error instanceof Error ? error.message : "", "unreachable");
        }
        if (response.ok) return response;
        const problem = await problem_of(response);
        if (response.status === 401 && used === this.token && !options.extra) this.refused(problem);
        throw problem;
    }

    async json<T>(method: string, path: string, body?: unknown, signal?: AbortSignal, patience = PATIENCE): Promise<T> {
        if (signal?.aborted) throw new Stopped();
        const limit = new AbortController();
        const timer = setTimeout(() => limit.abort(), patience);
        const stop = () => limit.abort(new Stopped());
        signal?.addEventListener("abort", stop);
        try {
            const response = await this.open(method, path, body === undefined ? { signal: limit.signal } : { body, signal: limit.signal });
            return (response.status === 204 ? {} : await response.json()) as T;
        } finally {
            clearTimeout(timer);
            signal?.removeEventListener("abort", stop);
        }
    }

    get<T>(path: string, signal?: AbortSignal): Promise<T> { return this.json<T>("GET", path, undefined, signal); }
    post<T>(path: string, body: unknown = {}): Promise<T> { return this.json<T>("POST", path, body, undefined, 60_000); }
    /** A text that one may do without: "" when the token is not good for it. */
    async extra(path: string, signal: AbortSignal): Promise<string> {
        try {
            return await (await this.open("GET", path, { signal, extra: true })).text();
        } catch (error) {
            if (error instanceof Problem && (error.status === 401 || error.status === 403)) return "";
            throw error;
        }
    }
}

/** Nobody waits for the answer any more. */
export class Stopped extends Error {}

/** "v1/jobs" with a query of what is not empty. Relative: the factory may be served under a prefix. */
export function query(path: string, parts: Record<string, string | number | undefined>): string {
    const out = new URLSearchParams();
    for (const [name, value] of Object.entries(parts)) if (value !== undefined && value !== "") out.set(name, String(value));
    const text = out.toString();
    return text ? `${path}?${text}` : path;
}
export const part = encodeURIComponent;
