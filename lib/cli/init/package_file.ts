/**
 * What package.json gets: the plugin among the dependencies, and its module among those that egg-scripts preloads. All of
 * it in the file's own format. Runs in the command line only.
 */
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { CartonError } from '../../support/errors';
import { maskSource } from '../edit/mask';
import { appendEntry, entriesOf, indentationOf, insertBefore, objectAt, type ObjectText, type Source } from '../edit/object_text';
import type { FileChange } from '../edit/write_all';
import { dependsOn, type ApplicationFiles, type PackageJson } from './application';
import { addRegister, registerByHand, registerModule } from './register_file';

const NAME = 'egg-carton';

/** What `init` does to package.json. */
export interface PackageEdits {
  /** One after the other, each on the text that the one before left. */
  readonly changes: readonly FileChange[];
  readonly addsDependency: boolean;
  /** What is left to do by hand, or undefined. */
  readonly note: string | undefined;
}

/** Throws `CARTON_CLI_CANNOT_EDIT`. */
export function editPackage(application: ApplicationFiles, version: string): PackageEdits {
  const file = path.join(application.baseDir, 'package.json');
  const before = application.packageText;
  const depended = addDependency(application, version);
  const module = registerModule(application.baseDir);
  const registered = addRegister(depended, module);
  const change = (from: string, to: string): FileChange[] => (from === to ? [] : [{ path: file, before: from, after: to }]);
  return {
    changes: [...change(before, depended), ...change(depended, registered ?? depended)],
    addsDependency: before !== depended,
    note: registered === undefined ? registerByHand(module) : undefined,
  };
}

/** The text with the dependency. Throws `CARTON_CLI_CANNOT_EDIT`. */
function addDependency({ packageText, packageJson }: ApplicationFiles, version: string): string {
  if (dependsOn(packageJson, NAME)) return packageText;
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
  return after;
}

function withDependency(text: string, line: string): string | undefined {
  const masked = maskSource(text);
  const root = masked === undefined ? undefined : objectAt(masked, masked.indexOf('{'));
  if (masked === undefined || root === undefined) return undefined;
  const source: Source = { text, masked };
  const entries = entriesOf(source, root).filter(({ key }) => key === 'dependencies');
  if (entries.length > 1) return undefined;
  const [entry] = entries;
  if (entry === undefined) return appendEntry(source, root, `"dependencies": {\n${indentationOf(text)}${line}\n}`);
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

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
