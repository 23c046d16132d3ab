/**
 * Enables the plugin in an application's config/plugin file, whatever its shape. Runs in the command line only. Where
 * the text does not tell for sure what to change, it refuses and says what to write.
 */
import fs from 'node:fs';
import path from 'node:path';
import { CartonError } from '../../support/errors';
import { exportedObject, type Exported } from '../edit/exported_object';
import { maskSource } from '../edit/mask';
import { appendEntry, entriesOf, eolOf, type Source } from '../edit/object_text';
import { readIfThere, type FileChange } from '../edit/write_all';
import type { ApplicationFiles, Language } from './application';

/** Egg reads `plugin.default` if there is one, and `plugin` only otherwise. */
const NAMES = ['config/plugin.default', 'config/plugin'];

/** The change that enables the plugin, or undefined where it is enabled. Throws `CARTON_CLI_CANNOT_EDIT`. */
export function enablePlugin(application: ApplicationFiles): FileChange | undefined {
  const file = pluginFile(application);
  const before = readIfThere(path.join(application.baseDir, file));
  const full = path.join(application.baseDir, file);
  if (before === undefined) return { path: full, before, after: newFile(application.language) };
  const after = enabled(before, file);
  if (after === before) return undefined;
  // The edit is read back: whoever edits by pattern has to check what came of it.
  if (enabled(after, file) !== after) throw cannotEdit(file, 'a place for one more plugin');
  return { path: full, before, after };
}

/** Path below the application's root of the file to edit, whether it exists or not. */
function pluginFile({ baseDir, language }: ApplicationFiles): string {
  const exists = (file: string): boolean => fs.existsSync(path.join(baseDir, file));
  for (const name of NAMES) {
    // A .js beside a .ts is the output of a build.
    const found = [`${name}.ts`, `${name}.js`].find(exists);
    if (found !== undefined) return found;
    const other = [`${name}.json`, `${name}.cjs`, `${name}.mjs`].find(exists);
    if (other !== undefined) throw cannotEdit(other, 'a file that ends in .ts or .js');
  }
  return `config/plugin.${language === 'typescript' ? 'ts' : 'js'}`;
}

function enabled(text: string, file: string): string {
  const masked = maskSource(text);
  if (masked === undefined) throw cannotEdit(file, 'strings, comments and brackets that end');
  const source = { text, masked };
  const exported = exportedObject(masked);
  if (exported.kind === 'function') throw cannotEdit(file, 'an object, because Egg does not call a function here');
  if (exported.kind === 'unknown') throw cannotEdit(file, 'one exported object literal, or single exports');
  if (isPresent(source, exported, file)) return text;
  if (exported.kind === 'object') return appendEntry(source, exported.object, `carton: ${value(text)}`);
  if (exported.kind === 'single') return append(text, exported.module === 'esm' ? 'export const carton = ' : 'exports.carton = ');
  return append(text, file.endsWith('.ts') ? 'export const carton = ' : 'exports.carton = ');
}

/** Throws where the plugin is mentioned and switched off. */
function isPresent(source: Source, exported: Exported, file: string): boolean {
  const found = exported.kind === 'object' ? entriesOf(source, exported.object).find(({ key }) => key === 'carton')?.value : undefined;
  const assigned = /(?:\.\s*carton|\bexport\s+(?:const|let|var)\s+carton)\b[^=;\n]*=(?![=>])\s*([^;]*)/.exec(source.masked);
  const text = found ?? assigned?.[1];
  if (text === undefined) return false;
  if (text === 'false' || /\benable\s*:\s*false\b/.test(text)) throw cannotEdit(file, '"carton" to be enabled, or not to be there', 'an entry that switches it off');
  return true;
}

function append(text: string, start: string): string {
  const eol = eolOf(text);
  const gap = text === '' || text.endsWith('\n') ? '' : eol;
  const blank = text.trim() === '' ? '' : eol;
  return `${text}${gap}${blank}${start}${value(text)};${eol}`;
}

/** In the quotes that the file uses. */
function value(text: string): string {
  const doubles = text.split('"').length;
  const quote = doubles > text.split("'").length ? '"' : "'";
  return `{ enable: true, package: ${quote}egg-carton${quote} }`;
}

function newFile(language: Language): string {
  const body = `{\n  carton: ${value('')},\n};\n`;
  return language === 'commonjs' ? `'use strict';\n\nmodule.exports = ${body}` : `export default ${body}`;
}

function cannotEdit(file: string, expected: string, got = 'none that can be told for sure'): CartonError {
  return new CartonError('CARTON_CLI_CANNOT_EDIT', {
    of: file,
    expected,
    got,
    hint: `Write into the object that ${file} exports:\n\n  carton: ${value('')},\n\n`,
  });
}
