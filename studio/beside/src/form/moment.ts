// Dates and times between what an input of the browser holds (local, without a zone) and RFC 3339.

const two = (n: number): string => String(n).padStart(2, "0");
/** "+01:00", as it is here at that time. */
export function zone_at(date: Date): string {
    const minutes = -date.getTimezoneOffset(), size = Math.abs(minutes);
    return `${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
}

/** What the input holds as RFC 3339; undefined when it is none. */
export function moment_of(look: "date" | "time" | "date-time", held: string): string | undefined {
    if (look === "date") return /^\d{4}-\d\d-\d\d$/.test(held) ? held : undefined;
    if (look === "time") return /^\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(held) ? `${held.length === 5 ? `${held}:00` : held}${zone_at(new Date())}` : undefined;
    const date = new Date(held);
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(held) || Number.isNaN(date.getTime())) return undefined;
    return `${held.length === 16 ? `${held}:00` : held}${zone_at(date)}`;
}

/** The other way, for a default. */
export function held_of(look: "date" | "time" | "date-time", text: string): string {
    if (look === "date") return /^\d{4}-\d\d-\d\d$/.test(text) ? text : "";
    if (look === "time") return /^\d\d:\d\d(:\d\d)?/.exec(text)?.[0] ?? "";
    const date = new Date(text);
    if (Number.isNaN(date.getTime())) return "";
    return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}
