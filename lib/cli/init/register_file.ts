/**
 * Adds `egg-carton/register` to the modules that package.json has loaded before the framework, so that Egg's own agent
 * and workers start from a snapshot. Runs in the command line only. Pure.
 */
import { isDeepStrictEqual } from 'node:util';
import { closeOf, maskSource } from '../edit/mask';
import { appendEntry, entriesOf, indentationOf, insertBefore, objectAt, type EntryText, type ObjectText, type Source } from '../edit/object_text';
import type { PackageJson } from './application';

/** Where the list stands in package.json. */
const SECTION = 'egg';
const LIST = 'require';
const MODULE = 'egg-carton/register';

export const REGISTER_BY_HAND = `package.json: "${SECTION}.${LIST}" is not a list, and was left as it is. Make it one that begins with "${MODULE}", so that Egg's own workers start from a snapshot.`;

/** The text with the module; the same text where it is there; undefined for one of another form. */
export function addRegister(text: string): string | undefined {
  const before = JSON.parse(text) as PackageJson;
  const section = before[SECTION] ?? {};
  const list = isObject(section) ? (section[LIST] ?? []) : undefined;
  if (!isObject(section) || !Array.isArray(list)) return undefined;
  if (list.includes(MODULE)) return text;
  const after = edit(text);
  // The edit is read back: of a name that stands there twice, another one may count.
  const wanted = { ...before, [SECTION]: { ...section, [LIST]: [MODULE, ...(list as unknown[])] } };
  return after !== undefined && isDeepStrictEqual(JSON.parse(after), wanted) ? after : undefined;
}

function edit(text: string): string | undefined {
  const masked = maskSource(text);
  const root = masked === undefined ? undefined : objectAt(masked, masked.indexOf('{'));
  if (masked === undefined || root === undefined) return undefined;
  const source: Source = { text, masked };
  const section = entryOf(source, root, SECTION);
  if (section === undefined) return appendEntry(source, root, entry(source, root, SECTION, { [LIST]: [MODULE] }));
  const object = objectAt(masked, section.valueAt);
  if (object === undefined) return undefined;
  const list = entryOf(source, object, LIST);
  if (list === undefined) return appendEntry(source, object, entry(source, object, LIST, [MODULE]));
  const close = masked[list.valueAt] === '[' ? closeOf(masked, list.valueAt) : undefined;
  return close === undefined ? undefined : intoList(source, { open: list.valueAt, close });
}

/** First, because what is loaded before it does not come from the snapshot. */
function intoList(source: Source, list: ObjectText): string {
  const [first] = entriesOf(source, list);
  if (first !== undefined) return insertBefore(source, first, JSON.stringify(MODULE));
  return source.text.slice(0, list.open + 1) + JSON.stringify(MODULE) + source.text.slice(list.close);
}

function entryOf(source: Source, object: ObjectText, key: string): EntryText | undefined {
  return entriesOf(source, object).find((one) => one.key === key);
}

/** As npm writes it, or on one line where its object stands on one. */
function entry({ text }: Source, object: ObjectText, key: string, value: unknown): string {
  const body = text.slice(object.open + 1, object.close);
  const isOneLine = body.trim() !== '' && !body.includes('\n');
  return `${JSON.stringify(key)}: ${isOneLine ? inline(value) : JSON.stringify(value, null, indentationOf(text))}`;
}

/** As people write it: `{ "require": ["x"] }`. */
function inline(value: unknown): string {
  return JSON.stringify(value).replace(/^\{(?=.)/, '{ ').replace(/(?<=.)\}$/, ' }').replace(/":/g, '": ');
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
