// The stream of what changes (server-sent events), read by fetch because an EventSource can send no token.
import { Api, Problem, Stopped } from "./api";
import { FeedEvent } from "./types";

export type Connection = "connecting" | "live" | "lost" | "paused";

const SILENCE = 40_000;   // the factory says something every 15 s
const PAUSES = [300, 1000, 2000, 4000, 5000];

export class Live {
    state: Connection = "connecting";
    since = new Date();
    private last = "";
    private tries = 0;
    private stopper: AbortController | undefined;
    private running = 0;

    constructor(private readonly api: Api, private readonly heard: (event: FeedEvent) => void, private readonly changed: (state: Connection, before: Connection) => void) {}

    start(): void {
        this.stop("connecting");
        void this.run(this.running);
    }

    /** `paused`: nobody looks; the next start goes on where this ended. */
    stop(state: Connection = "paused"): void {
        ++this.running;
        this.stopper?.abort(new Stopped());
        this.become(state);
    }
    forget(): void { this.last = ""; }

    private become(state: Connection): void {
        if (state === this.state) return;
        const before = this.state;
        this.state = state;
        this.since = new Date();
        this.changed(state, before);
    }

    private async run(number: number): Promise<void> {
        while (number === this.running) {
            try {
                await this.read(number);
            } catch (error) {
                if (error instanceof Problem && (error.status === 401 || error.status === 403)) return;
            }
            if (number !== this.running) return;
            this.become("lost");
            const pause = PAUSES[Math.min(this.tries++, PAUSES.length - 1)]!;
            await new Promise(done => setTimeout(done, pause * (0.75 + Math.random() / 2)));
        }
    }

    private async read(number: number): Promise<void> {
        const stopper = this.stopper = new AbortController();
        let silence = setTimeout(() => stopper.abort(), SILENCE);
        try {
            const response = await this.api.open("GET", "v1/events", { headers: this.last ? { "Last-Event-ID": this.last } : {}, signal: stopper.signal });
            const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
            this.tries = 0;
            this.become("live");
            let text = "";
            for (;;) {
                const { value, done } = await reader.read();
                if (done || number !== this.running) return;
                clearTimeout(silence);
                silence = setTimeout(() => stopper.abort(), SILENCE);
                text += value;
                for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
                    this.take(text.slice(0, end));
                    text = text.slice(end + 2);
                }
            }
        } finally {
            clearTimeout(silence);
        }
    }

    private take(block: string): void {
        let data = "", id = "";
        for (const line of block.split("\n")) {
            if (line.startsWith("id:")) id = line.slice(3).trim();
            else if (line.startsWith("data:")) data += line.slice(5);
        }
        if (!data) return;
        this.last = id;
        try {
            const event = JSON.parse(data) as Omit<FeedEvent, "id">;
            this.heard({ ...event, id, detail: event.detail ?? {} });
        } catch { /* a kind of event that a later factory has */ }
    }
}
