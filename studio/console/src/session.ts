// The token: in this tab's memory and session, and lent to other tabs of this page while one is open. Never in an address, never on the disk.

const KEY = "millwright-token";
type Word = { say: "who has a token?" } | { say: "here"; token: string } | { say: "signed out" };

export class Session {
    private readonly tabs = new BroadcastChannel("millwright");
    private token = "";
    private waiting: ((token: string) => void) | undefined;
    /** Another tab signed out. */
    ended: () => void = () => undefined;

    constructor() {
        this.tabs.onmessage = message => {
            const word = message.data as Word;
            if (word.say === "who has a token?" && this.token) this.tabs.postMessage({ say: "here", token: this.token });
            if (word.say === "here") this.waiting?.(word.token);
            if (word.say === "signed out" && this.token) {
                this.drop();
                this.ended();
            }
        };
    }

    /** That of this tab, else that of another one that answers at once, else "". */
    async find(): Promise<string> {
        const own = sessionStorage.getItem(KEY);
        if (own) return this.token = own;
        const lent = await new Promise<string>(done => {
            this.waiting = done;
            this.tabs.postMessage({ say: "who has a token?" });
            setTimeout(() => done(""), 150);
        });
        this.waiting = undefined;
        if (lent) this.keep(lent);
        return lent;
    }
    keep(token: string): void {
        this.token = token;
        sessionStorage.setItem(KEY, token);
    }
    drop(): void {
        this.token = "";
        sessionStorage.removeItem(KEY);
    }
    held(token: string): boolean { return this.token === token; }
    signOut(): void {
        this.drop();
        this.tabs.postMessage({ say: "signed out" });
    }
}

const RANKS = ["none", "viewer", "operator", "developer", "admin"];
export function reaches(role: string, needed: string): boolean { return RANKS.indexOf(role) >= RANKS.indexOf(needed); }
