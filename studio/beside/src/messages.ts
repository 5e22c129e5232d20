// Every text of the page: messages/en.json and messages/de.json, which notifications, tray and terminal read, too.
import de from "../messages/de.json";
import en from "../messages/en.json";

export type Key = keyof typeof en;
export type Language = "en" | "de";
const ALL: Record<Language, Record<Key, string>> = { en, de };

const COOKIE = "millwright-language";   // the page's port, and with it its storage, is another one each time; cookies know no ports

function chosen(): Language {
    const kept = new RegExp(`(?:^|; )${COOKIE}=(en|de)(?:;|$)`).exec(document.cookie)?.[1];
    if (kept) return kept as Language;
    for (const each of navigator.languages) if (/^(en|de)\b/i.test(each)) return each.slice(0, 2).toLowerCase() as Language;
    return "en";
}

export let language: Language = chosen();
export function choose(wanted: Language): void {
    language = wanted;
    document.cookie = `${COOKIE}=${wanted}; Max-Age=31536000; Path=/; SameSite=Strict`;
}

/** The text with its {arguments} put in, each as it is: what is in one is never looked at again. */
export function t(key: Key, args: Record<string, string | number> = {}): string {
    return (ALL[language][key] ?? key).replace(/\{([a-z]+)\}/g, (whole, name: string) => name in args ? String(args[name]) : whole);
}
export const count = (key: "needs" | "stop" | "form.mistakes", n: number): string => t(n === 1 ? `${key}.one` : `${key}.many`, { count: n });
/** A state as people say it; one that is not known, as it is called. */
export const state_text = (state: string): string => `state.${state}` in en ? t(`state.${state}` as Key) : state;
/** Why something was not done: what the agent's code has for words here, else the agent's own. */
export function why_text(code: string, by: string, said: string): string {
    const key = by && `why.${code}.by` in en ? `why.${code}.by` : `why.${code}`;
    return key in en ? t(key as Key, { by, why: said }) : said;
}
/** What a job may do; what has no words here, in the agent's. */
export function deed_text(code: string, what: string, said: string): string {
    const key = code === "network" && what === "*" ? "does.network.any" : code === "system" && what === "usage" ? "does.system.usage" : `does.${code}`;
    return key in en ? t(key as Key, { what }) : said;
}
