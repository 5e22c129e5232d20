import { de } from "./de";
import { en, Messages } from "./en";

const wanted = (navigator.languages.length ? navigator.languages : [navigator.language]).map(each => each.toLowerCase().slice(0, 2)).find(each => each === "de" || each === "en");
export const t: Messages = wanted === "de" ? de : en;
