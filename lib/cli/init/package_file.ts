/**
 * Adds the plugin to the dependencies in an application's package.json, in the file's own format. Runs in the command
 * line only.
 */
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { CartonError } from '../../support/errors';
import { maskSource } from '../edit/mask';
import { appendEntry, entriesOf, insertAll, objectAt, type EntryText, type ObjectText, type Source } from '../edit/object_text';
import type { FileChange } from '../edit/write_all';
import { dependsOn, type ApplicationFiles, type PackageJson } from './application';

const NAME = 'egg-carton';

/** The change, or undefined where the dependency is there. Throws `CARTON_CLI_CANNOT_EDIT`. */
export function addDependency({ baseDir, packageText, packageJson }: ApplicationFiles, version: string): FileChange | undefined {
  if (dependsOn(packageJson, NAME)) return undefined;
  const line = `"${NAME}": "^${version}"`;
  const after = withDependency(packageText, line);
  const dependencies = { ...(packageJson['dependencies'] as object | undefined), [NAME]: `^${version}` };
  if (after === undefined || !isDeepStrictEqual(JSON.parse(after), { ...packageJson, dependencies } satisfies PackageJson)) {
    throw new CartonError('CARTON_CLI_CANNOT_EDIT', {
      of: 'package.json',
      expected: '"dependencies" to be one object',
      got: 'another form',
      hint: `Add to its dependencies:\n\n  ${line}\n\n`,
    });
  }
  return { path: path.join(baseDir, 'package.json'), before: packageText, after };
}

function withDependency(text: string, line: string): string | undefined {
  const masked = maskSource(text);
  const root = masked === undefined ? undefined : objectAt(masked, masked.indexOf('{'));
  if (masked === undefined || root === undefined) return undefined;
  const source: Source = { text, masked };
  const entries = entriesOf(source, root).filter(({ key }) => key === 'dependencies');
  if (entries.length > 1) return undefined;
  const [entry] = entries;
  if (entry === undefined) return appendEntry(source, root, `"dependencies": {\n  ${line}\n}`);
  const dependencies = objectAt(masked, entry.valueAt);
  return dependencies === undefined ? undefined : insertSorted(source, dependencies, line);
}

/** npm keeps dependencies sorted; where they are not, the new one comes last. */
function insertSorted(source: Source, object: ObjectText, line: string): string {
  const entries = entriesOf(source, object);
  const names = entries.map(({ key }) => key ?? '');
  const isSorted = names.every((name, index) => index === 0 || compare(names[index - 1] as string, name) <= 0);
  const next = isSorted ? entries.find(({ key }) => compare(key ?? '', NAME) > 0) : undefined;
  return next === undefined ? appendEntry(source, object, line) : insertBefore(source, next, line);
}

function insertBefore({ text }: Source, next: EntryText, line: string): string {
  const lineStart = text.lastIndexOf('\n', next.start - 1);
  const gap = text.slice(lineStart, next.start);
  const ownLine = lineStart !== -1 && gap.trim() === '';
  const separator = ownLine ? (text[lineStart - 1] === '\r' ? '\r' : '') + gap : ' ';
  return insertAll(text, [{ at: next.start, text: `${line},${separator}` }]);
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
