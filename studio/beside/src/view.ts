// What every view is given, and gives.
import { Child } from "../../console/src/dom";
import { Api, Mistake } from "./api";
import { Person } from "./types";

/** The page around a view. */
export interface App {
    readonly api: Api;
    readonly person: Person;
    draw(): void;
    /** A sentence that comes and goes, read aloud. */
    say(sentence: string, bad?: boolean): void;
    /** Does it, says how it went, looks anew. False: it did not work. `refused` shows mistakes at their fields; without it they are said as all else. */
    act(what: () => Promise<unknown>, done: string | (() => string), refused?: (mistakes: Mistake[]) => void): Promise<boolean>;
    /** Asks before something is done. */
    ask(question: { title: string; about: string; yes: string }): Promise<boolean>;
    go(address: string): void;
    /** Whether this is being done already: its buttons wait. */
    busy: boolean;
}

export interface View {
    title(): string;
    body(): Child;
    /** Called when the agent said something new. */
    news?(): void;
    leave?(): void;
}
