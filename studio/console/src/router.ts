// The address behind the '#': where one is, as a link that works.

export interface Route { path: string[]; query: Record<string, string> }

export function read(hash: string): Route {
    const [path = "", search = ""] = hash.replace(/^#\/?/, "").split("?", 2);
    const decoded = path.split("/").filter(Boolean).map(each => {
        try {
            return decodeURIComponent(each);
        } catch {
            return each;
        }
    });
    return { path: decoded, query: Object.fromEntries(new URLSearchParams(search)) };
}

export function link(path: readonly string[], query: Record<string, string | undefined> = {}): string {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) if (value) search.set(name, value);
    const text = search.toString();
    return `#/${path.map(encodeURIComponent).join("/")}${text ? `?${text}` : ""}`;
}
