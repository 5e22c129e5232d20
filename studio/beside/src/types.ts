// What the agent says to the person (DIR/person), and what is said back. `factory` in a row: there are several.

export type Value = null | boolean | number | bigint | string | Value[] | { [name: string]: Value };
export interface Schema { [keyword: string]: unknown }

export interface Last { job: string; state: string; reason: string; ended: string | null }
export interface Launchable {
    trigger: string; title: string; description: string; environment: string; package?: { name: string; version: string };
    schema: Schema | null; last: Last | null; paused: string; offline?: boolean; unavailable?: string; factory?: string;
}
export interface Question { id: string; factory?: string; kind: string; text: string; mark?: string; schema: Schema | null; deadline: string | null; job: string; trigger: string; title: string; asked: string }
/** The same as a line of `does`, for a language that the agent does not speak. */
export interface Deed { code: string; what: string; text: string }
export interface Consent { id: string; title: string; description: string; asker: string; trigger: string; does: string[]; deeds?: Deed[]; expectedMs: number | null; until: string; choices: string[] }
export interface Tell { id: string; text: string; title: string; job: string; at: string }
export interface Running { job: string; title: string; for: string; mine: boolean; state: string; started: string | null; progress: { percent: number; text: string } | null; step: string }
/** Waits for a factory that is away. */
export interface Queued { id: string; trigger: string; title: string; asked: string }
/** `job` null: asked for while the factory was away, and refused by it later. */
export interface Past {
    job: string | null; id?: string; trigger: string; title: string; state: string; reason: string; started: string | null; ended: string | null; text?: string;
    output?: unknown; error?: unknown; files?: string[]; mine?: boolean;
}
export interface Job extends Past { log?: { time: string; level: string; text: string }[]; steps?: { name: string; state: string }[] }
export interface Agent { name: string; factory: string; state: string; why: string }
export interface Person {
    version: number; user: string; agent: Agent; agents?: Agent[];
    session?: { state: string }; paused: { until: string | null; why: string; by: string } | null;
    running: Running[]; queued: Queued[]; launchable: Launchable[]; questions: Question[]; consents: Consent[]; tells: Tell[]; history: Past[];
    stop: { key: string } | null;
}
