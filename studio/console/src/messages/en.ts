// Every text of the console. What the factory, agents and workflows say comes as they say it.

export const en = {
    language: "en",
    skip: "Skip to the content",
    nav: { label: "Views", jobs: "Jobs", agents: "Agents", triggers: "Triggers", deliveries: "Deliveries", deployments: "Deployments" },
    login: {
        title: "Sign in", token: "Token", button: "Sign in", help: "A token of the role viewer or above. The factory wrote the first one into admin-token in its data folder; `millwright tokens create NAME` makes others.",
        memory: "It is kept until this page's last tab is closed, and nowhere else.", form: "A token begins with mw_ and has no spaces.", busy: "Signing in…",
        ended: "You were signed out: the token is no longer valid.", elsewhere: "You signed out in another tab.",
        weak: (role: string) => `This token (${role}) may not look at jobs. The console needs one of the role viewer or above.`, out: "Sign out", as: (name: string, role: string) => `${name} · ${role}`,
    },
    live: {
        connecting: "Connecting…", live: "Live", lost: "Not connected", paused: "Paused",
        banner: (time: string) => `The factory cannot be reached since ${time}. What you see is as it was then; it goes on by itself.`, back: "Connected again.",
    },
    unreachable: "The factory cannot be reached", retryLoad: "Try again", loading: "Loading…", notFound: "There is no such page", notFoundText: "The address leads nowhere.",
    code: "Code", status: "Status", copy: "Copy", copied: "Copied", more: (n: number) => `… ${n.toLocaleString("en")} more characters`, showAll: "Show all", none: "none", all: "all", any: "any", yes: "yes", no: "no",
    newer: "Newest", older: "Older", close: "Close", never: "never", now: "now",
    state: {
        ready: "waiting", assigned: "assigned", running: "running", waiting: "on hold", successful: "successful", failed: "failed", cancelled: "cancelled", expired: "expired",
        pending: "pending", delivered: "delivered", dead: "dead", online: "online", offline: "offline", paused: "paused", frozen: "frozen", unapproved: "not approved", revoked: "revoked", active: "active",
        ok: "works", failing: "failing", held: "held", later: "later", completed: "completed", faulted: "faulted", started: "started", skipped: "skipped", missed: "missed",
    } as Record<string, string>,
    jobs: {
        title: "Jobs", waiting: "Waiting", running: "Running", successful: "Successful", failed: "Failed", agents: "Agents online", dead: "Dead letters", of: (n: number, all: number) => `${n} of ${all}`,
        whyTitle: "What is waited for", filter: "Filter", state: "State", trigger: "Trigger", since: "Since", spans: { "": "any time", "15m": "15 minutes", "1h": "1 hour", "24h": "24 hours", "168h": "7 days" } as Record<string, string>,
        columns: { state: "State", job: "Job", what: "What happens", agent: "Agent", created: "Created", took: "Time", actions: "Actions" },
        empty: "No job is like that.", emptyAll: "There is no job yet. A trigger makes one: look at Triggers for its address and a curl.", page: "Older jobs: this page does not change by itself.",
        runs: (agent: string) => `runs on ${agent}`, handed: (agent: string) => `handed to ${agent}`, holds: "waits for a person or an event", completed: "completed", reason: (reason: string) => reason.replace(/_/g, " "), by: (who: string) => `by ${who}`,
    },
    job: {
        title: (state: string) => `Job ${state}`, why: "Why", timeline: "Timeline", steps: "Steps", records: "Log", input: "Input", output: "Output", error: "Error", evidence: "Evidence", context: "Invocation context",
        deliveries: "Deliveries", facts: "Facts", cancel: "Cancel", retry: "Retry", cancelTitle: "Cancel this job?", cancelText: "It is asked to end; what it did is not undone.", cancelWhy: "Why (shown to others)", keep: "Keep it running",
        retryTitle: "Retry this job?", retryText: "A new job with the same input starts now. What the old one did, it may do once more.", sameVersion: "with the same package version, even if the deployment has another now", retryNot: "Do not retry",
        cancelled: "The job is asked to end.", retried: "A new job was made.", trigger: "Trigger", deployment: "Deployment", environment: "Environment", package: "Package", agent: "Agent", attempt: "Attempt", by: "Requested by",
        expires: "Expires", priority: "Priority", workflow: "Workflow", retryOf: "Retry of", retriedBy: "Retried by", uid: "Uid", since: "since", noSteps: "It has recorded no step yet.", noRecords: "Nothing was recorded.", noneLike: "No record is like that.",
        noDeliveries: "No notifier hears of this job.", sources: { job: "Job", timeline: "Timeline", step: "Steps", agent: "Agent", delivery: "Deliveries" } as Record<string, string>, show: "Show", least: "From level", search: "With the text",
        levels: { debug: "debug", info: "info", warning: "warning", error: "error" } as Record<string, string>, earlier: (n: number) => `Show ${n} earlier`, further: "Read the next 1,000 lines", lost: (n: number) => `${n} records over the quota were not kept`,
        attempts: (n: number) => n === 1 ? "1 attempt" : `${n} attempts`, length: "Length", time: "Time", step: "Step", kind: "Kind", text: "Text", source: "Source",
    },
    agents: {
        title: "Agents", columns: { name: "Agent", state: "State", slots: "Slots", environment: "Environment", version: "Version", why: "Why it takes no job" }, empty: "No agent is enrolled. `millwright agents invite` makes a code for one.",
        since: (time: string) => `since ${time}`, free: "takes jobs", full: "all its slots are in use", log: "Its log", noLog: "It has said nothing yet.", jobs: "Jobs it holds", noJobs: "It holds no job.", facts: "Facts", labels: "Labels",
        pause: "Pause", resume: "Resume", pauseTitle: (name: string) => `Pause ${name}?`, pauseText: "Its jobs go on to their end; it gets no new ones until it is resumed.", pauseNot: "Leave it", paused: "It gets no new jobs.", resumed: "It gets jobs again.",
        mode: "Mode", enrolled: "Enrolled", seen: "Last seen", fingerprint: "Key", goodbye: "It said", holds: "Nothing starts yet",
    },
    triggers: {
        title: "Triggers", columns: { name: "Trigger", state: "State", type: "Type", deployment: "Deployment", next: "Next run", actions: "Actions" }, empty: "There is no trigger. `millwright deploy FOLDER` makes a package, a deployment and a trigger.",
        pause: "Pause", resume: "Resume", pauseTitle: (name: string) => `Pause ${name}?`, pauseText: "Calls are refused and no schedule fires until it is resumed. Jobs that it started go on.", pauseWhy: "Why (callers are told)", pauseNot: "Leave it",
        paused: "The trigger is paused.", resumed: "The trigger starts jobs again.", ready: "Could a job run now?", call: "Call it", url: "Address", forms: ["Millwright", "SAP, first form", "SAP, second form"],
        token: "`millwright triggers token NAME` makes the token that the calls need.", chat: "From a chat", next: "Next runs", past: "What came of the last times", due: "Due", local: "There", outcome: "Outcome", jobs: "Its jobs", calls: "on call",
        noFirings: "It has not come to a time yet.", noNext: "No time is left.", expiration: "Expires after", concurrency: "At once", unlimited: "any number", runOn: "Runs on",
    },
    deliveries: {
        title: "Deliveries", one: "Delivery", notifiers: "Notifiers", columns: { state: "State", notifier: "Notifier", on: "Tells of", about: "About", created: "Created", tries: "Tries", error: "What came back", actions: "Actions" },
        empty: "No delivery is like that.", test: "Test", testTitle: (name: string) => `Test ${name}?`, testText: "A made-up notification goes to its receiver, for real.", testNot: "Do not send", testOk: "It was accepted.", testFailed: "It was not accepted.",
        resend: "Resend", resendTitle: "Resend this delivery?", resendText: "The same notification goes out once more. A receiver that got it already can know it by its id.", resendNot: "Do not resend", resent: "It goes out again.",
        send: "Send now", sendTitle: (name: string) => `Send what ${name} holds?`, sendText: "Its deliveries go out now, although its last attempts failed.", sent: "Its deliveries go out now.",
        ncolumns: { name: "Notifier", state: "State", type: "Kind", on: "Hears of", pending: "Pending", dead: "Dead", why: "Why", actions: "Actions" }, noNotifiers: "There is no notifier. docs/notifiers.md says how one is made.",
        failures: (n: number) => n === 1 ? "its last attempt failed" : `its last ${n} attempts failed`, probe: (time: string) => `next probe ${time}`, nextTry: (time: string) => `next try ${time}`, attempt: (n: number) => `Attempt ${n}`,
        request: "Request", response: "Response", noResponse: "There was no answer.", headers: "Headers", body: "Body", took: "took", overtook: "It overtook earlier ones of its job.", job: "Job", id: "Id", attempts: "Attempts", noAttempts: "It was not tried yet.", state: "State", notifier: "Notifier",
    },
    deployments: {
        title: "Deployments", columns: { name: "Deployment", package: "Package", environment: "Environment", can: "Who could run it now", changed: "Changed" }, empty: "There is no deployment. `millwright deploy FOLDER` makes one.",
        preflight: "Who could run it now?", now: "now", later: "later", no: "not", counts: (now: number, later: number, no: number) => `${now} now · ${later} later · ${no} not`, problems: "What is missing", history: "Versions it had", noHistory: "It had no other version.",
        environments: "Environments", agent: "Agent", can: "Can", why: "Why",
        what: { applied: "applied", settings: "settings changed", rolled_back: "rolled back", rolled_forward: "rolled forward" } as Record<string, string>,
    },
    count: (n: number) => n === 1 ? "1 job" : `${n} jobs`,
};
export type Messages = typeof en;
