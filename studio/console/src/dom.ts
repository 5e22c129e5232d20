// What a view wants on the page, and the smallest change that gets there. Texts become text nodes, never markup: there is no other way in.

export type Handler = (event: Event) => void;
export interface Props {
    [name: string]: string | number | boolean | undefined | null | Handler | Record<string, string> | ((element: HTMLElement) => void);
}
export interface VNode { tag: string; props: Props; children: Flat[]; key: string | undefined }
export type Flat = VNode | string;
export type Child = Flat | number | null | undefined | false | readonly Child[];

function flatten(children: readonly Child[], out: Flat[] = []): Flat[] {
    for (const child of children) {
        if (child === null || child === undefined || child === false || child === "") continue;
        if (Array.isArray(child)) flatten(child as readonly Child[], out);
        else if (typeof child === "number") out.push(String(child));
        else out.push(child as Flat);
    }
    return out;
}

/** `key` names an element among its siblings: it stays the same element wherever it goes. `ref` is called once, when it is made. */
export function h(tag: string, props: Props | null, ...children: Child[]): VNode {
    const key = props?.["key"];
    return { tag, props: props ?? {}, children: flatten(children), key: key === undefined ? undefined : String(key) };
}

const SVG = new Set(["svg", "path", "circle", "rect", "g"]);
const HANDLERS = new WeakMap<Element, Map<string, Handler>>();

function setHandler(element: Element, name: string, handler: Handler | undefined): void {
    let all = HANDLERS.get(element);
    if (!all) HANDLERS.set(element, all = new Map());
    if (!all.has(name) && handler) element.addEventListener(name, event => HANDLERS.get(element)?.get(name)?.(event));
    if (handler) all.set(name, handler);
    else all.set(name, () => undefined);
}

function setProperty(element: HTMLElement, name: string, value: Props[string]): void {
    if (name === "key" || name === "ref") return;
    if (name.startsWith("on")) return setHandler(element, name.slice(2).toLowerCase(), value as Handler | undefined);
    if (name === "style") {
        for (const [property, text] of Object.entries(value as Record<string, string>)) element.style.setProperty(property, text);   // allowed by the policy, unlike the attribute
        return;
    }
    if (name === "value" || name === "checked") {
        (element as unknown as Record<string, unknown>)[name] = value ?? "";
        return;
    }
    if (value === false || value === undefined || value === null) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
}

function create(node: Flat): Node {
    if (typeof node === "string") return document.createTextNode(node);
    const element = (SVG.has(node.tag) ? document.createElementNS("http://www.w3.org/2000/svg", node.tag) : document.createElement(node.tag)) as HTMLElement;
    for (const child of node.children) element.append(create(child));
    for (const [name, value] of Object.entries(node.props)) setProperty(element, name, value);
    (node.props["ref"] as ((element: HTMLElement) => void) | undefined)?.(element);
    return element;
}

function update(dom: Node, before: Flat, after: Flat): void {
    if (typeof before === "string" || typeof after === "string") {
        if (before !== after) dom.nodeValue = after as string;
        return;
    }
    const element = dom as HTMLElement;
    patch(element, before.children, after.children);
    for (const name of Object.keys(before.props)) if (!(name in after.props)) setProperty(element, name, undefined);
    for (const [name, value] of Object.entries(after.props)) if (value !== before.props[name] || typeof value === "object") setProperty(element, name, value);
}

/** Who is the same before and after: by key, else the n-th of its kind. */
function names(nodes: Flat[]): string[] {
    const counts = new Map<string, number>();
    return nodes.map(node => {
        if (typeof node !== "string" && node.key !== undefined) return `${node.tag} ${node.key}`;
        const kind = typeof node === "string" ? "text" : node.tag;
        const count = (counts.get(kind) ?? 0) + 1;
        counts.set(kind, count);
        return `${kind}#${count}`;
    });
}

/** Brings the children of `parent` from `before` to `after`. What stays is not touched: focus, selection, scrolling and open parts stay, too. */
export function patch(parent: Element, before: Flat[], after: Flat[]): void {
    const known = new Map<string, [Flat, Node]>();
    const doms = [...parent.childNodes];
    names(before).forEach((name, i) => known.set(name, [before[i]!, doms[i]!]));
    const wanted = names(after);
    const stay = new Set(wanted);
    for (const [name, [, dom]] of known) if (!stay.has(name)) (dom as ChildNode).remove();
    let at: ChildNode | null = parent.firstChild;
    wanted.forEach((name, i) => {
        const old = known.get(name);
        const node = after[i]!;
        if (old) update(old[1], old[0], node);
        const dom = old ? old[1] : create(node);
        if (dom === at) at = at.nextSibling;
        else parent.insertBefore(dom, at);
    });
}
