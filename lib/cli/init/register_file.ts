/**
 * Adds `egg-carton/register` to the modules that package.json has egg-scripts preload, so that Egg's own agent and
 * workers start from a snapshot. Runs in the command line only.
 */
import fs from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { isRegister } from '../../sandbox/flags';
import { closeOf, maskSource } from '../edit/mask';
import { appendEntry, entriesOf, indentationOf, insertBefore, objectAt, type EntryText, type ObjectText, type Source } from '../edit/object_text';
import type { PackageJson } from './application';

/** Where the list stands in package.json. */
const SECTION = 'eggScriptsConfig';
const LIST = 'require';

const FILE = './node_modules/egg-carton/register.js';
const NAME = 'egg-carton/register';

/**
 * The module as the application is to name it. egg-scripts finds a path from the application, but a name is Node's to
 * find from the working directory; so a name only where the file is elsewhere, or not installed yet.
 */
export function registerModule(baseDir: string): string {
  return fs.existsSync(path.join(baseDir, FILE)) ? FILE : NAME;
}

/** What is left to do where `addRegister` could not. */
export function registerByHand(module: string): string {
  return `package.json: "${SECTION}.${LIST}" is not a list, and was left as it is. Make it one that begins with "${module}", so that Egg's own workers start from a snapshot.`;
}

/** The text with the module; the same text where it is there in any form; undefined for one of another shape. */
export function addRegister(text: string, module: string): string | undefined {
  const before = JSON.parse(text) as PackageJson;
  const section = before[SECTION] ?? {};
  const list = isObject(section) ? (section[LIST] ?? []) : undefined;
  if (!isObject(section) || !Array.isArray(list)) return undefined;
  if (list.some((one) => typeof one === 'string' && isRegister(one))) return text;
  const after = edit(text, module);
  // The edit is read back: of a name that stands there twice, another one may count.
  const wanted = { ...before, [SECTION]: { ...section, [LIST]: [module, ...(list as unknown[])] } };
  return after !== undefined && isDeepStrictEqual(JSON.parse(after), wanted) ? after : undefined;
}

function edit(text: string, module: string): string | undefined {
  const masked = maskSource(text);
  const root = masked === undefined ? undefined : objectAt(masked, masked.indexOf('{'));
  if (masked === undefined || root === undefined) return undefined;
  const source: Source = { text, masked };
  const section = entryOf(source, root, SECTION);
  if (section === undefined) return appendEntry(source, root, entry(source, root, SECTION, { [LIST]: [module] }));
  const object = objectAt(masked, section.valueAt);
  if (object === undefined) return undefined;
  const list = entryOf(source, object, LIST);
  if (list === undefined) return appendEntry(source, object, entry(source, object, LIST, [module]));
  const close = masked[list.valueAt] === '[' ? closeOf(masked, list.valueAt) : undefined;
  return close === undefined ? undefined : intoList(source, { open: list.valueAt, close }, module);
}

/** First, because what is loaded before it does not come from the snapshot. */
function intoList(source: Source, list: ObjectText, module: string): string {
  const [first] = entriesOf(source, list);
  if (first !== undefined) return insertBefore(source, first, JSON.stringify(module));
  return source.text.slice(0, list.open + 1) + JSON.stringify(module) + source.text.slice(list.close);
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
