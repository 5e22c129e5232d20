// What the factory answers, as far as the console reads it (factory/api/README.md).

export type JobState = "ready" | "assigned" | "running" | "waiting" | "successful" | "failed" | "cancelled" | "expired";
export const FINAL: readonly string[] = ["successful", "failed", "cancelled", "expired"];

export interface Page<T> { items: T[]; next?: string }
export interface Who { kind: string; id: string; name: string; role: string; factoryId: string; version: string }
export interface Job {
    uid: string; state: JobState; reason?: string; trigger: string; deployment: string; environment: string; package: { name: string; version: string; digest: string };
    workflow: string; priority: number; agent?: string; attempt?: number; requestedBy?: string; createdAt: string; assignedAt?: string; startedAt?: string; endedAt?: string;
    expiresAt?: string; retryOf?: string; retriedBy?: string; cancel?: { by: string; why: string; time: string }; waitingFor?: string;
    invocationContext?: unknown; input?: unknown; output?: unknown; error?: { title?: string; detail?: string; type?: string; status?: number; instance?: string }; evidence?: unknown;
}
export interface Reason { code: string; agent?: string; subject?: string; text: string; hint?: string }
export interface Why { state?: string; text: string; reasons: Reason[] }
export interface WaitSummary { text: string; groups: { count: number; text: string }[]; items: unknown[] }
export interface TimelineItem { sequence: number; time: string; state: string; reason?: string; agent?: string; attempt?: number; text?: string }
export interface LogItem { sequence: number; attempt?: number; time: string; level?: string; text?: string; task?: string; gap?: number; room?: string }
export interface Step { sequence: number; attempt: number; time: string; task: string; name?: string; type?: string; state?: string; startedAt?: string; error?: { title?: string; detail?: string }; gap?: number; text?: string }
export interface Attempt {
    number: number; time: string; durationMs: number; request: { method?: string; url?: string; headers?: Record<string, string>; body?: string };
    response?: { status: number; body: string }; error?: string;
}
export interface Delivery {
    id: string; job?: string; subject?: string; notifier: string; on: string; state: "pending" | "delivered" | "dead"; createdAt: string; nextTry?: string; finishedAt?: string; tries: number;
    error?: string; overtook?: boolean; held?: { because: string; since?: string; nextProbe?: string }; attempts?: Attempt[];
}
export interface Agent {
    id: string; name: string; mode: string; state: string; online: boolean; approved: boolean; paused: boolean; frozen: boolean; environment: string; labels: Record<string, string>;
    slots: number; busy: number; jobs: string[]; fingerprint?: string; offlineSince?: string; goodbye?: string; createdAt: string; lastSeen?: string; facts: Record<string, unknown>;
}
export interface Hold { environment: string; agents: string[]; unable: string[]; since: string; knownTo: string; why: string; command: string }
export interface Status { uid: string; generation: number; createdAt: string; updatedAt: string; updatedBy?: string }
export interface Trigger {
    name: string; deployment: string; type: string; schedule?: { cron?: string; every?: string; timezone: string }; runOn: string; workflow: string; priority: number; expiration: string; concurrency: number;
    status: Status & { paused: boolean; pausedWhy?: string };
}
export interface Calls { name: string; uid: string; urls: Record<string, string>; examples: string[]; chat?: { platform: string; url: string; example: string; problem?: string }; ready?: Why }
export interface Firing { due: string; local: string; at?: string; skipped?: string; outcome?: string; decided?: string; job?: string; why?: string; times?: number }
export interface Notifier {
    name: string; type: string; on: (string | Record<string, unknown>)[]; trigger?: string; deployment?: string; environment?: string; agents?: unknown; deliveries?: unknown; credentials?: unknown;
    status: Status & { deliveries: { state: "ok" | "failing" | "held"; failures: number; because?: string; heldSince?: string; nextProbe?: string; pending: number; dead: number } };
}
export interface TestAnswer { ok: boolean; request?: Attempt["request"]; response?: { status: number; body: string }; error?: string }
export interface Deployment { name: string; package: string; environment: string; status: Status }
export interface Preflight {
    text: string; blocked: boolean; counts: { now: number; later: number; no: number }; problems: Reason[]; agents: { name: string; version?: string; can: "now" | "later" | "no"; reasons: Reason[] }[];
}
export interface Move { time: string; by: string; what: string; from?: string; to: string; why?: string; generation: number; rebound?: number }
export interface FeedEvent { id: string; kind: string; subject: string; what: string; detail: Record<string, unknown> }
