/**
 * Turns a recording into the bytes of a snapshot. Runs in the process that recorded, once the application has run.
 */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { resolveFrom } from './commonjs';
import { Contents, digestOf, encodeText, encodingOf } from './format';
import { MISSING, type FileEntry, type FileNumber, type Manifest, type Stamps } from './manifest';
import { certain, WRITTEN_MEANWHILE, type RecordedFile, type Recorder } from './recorder';
import { namesDigest } from './stamps';

/** The bytes of the snapshot. The recorder is stopped by it. */
export function encodeRecording(recorder: Recorder): { readonly bytes: Buffer; readonly manifest: Manifest } {
  recorder.loadDelayed();
  recorder.stop();
  omitRewritten(recorder);
  const contents = new Contents();
  const { paths, loader } = recorder;
  const recorded = [...recorder.files.values()];
  const entries = new Map(recorded.map((file) => [paths.file(file.path) as FileNumber, entryOf(file, contents)]));
  const lasting = lastingFiles(recorder);
  const table = (answers: Answers, again: (key: string) => string | undefined): Record<string, FileNumber> =>
    certain(answers, (key, file) => (file === MISSING ? again(key) === undefined : lasting(file)));
  const resolutions = Object.fromEntries([...recorder.resolutions].map(([directory, answers]) => {
    const path = paths.directoryPath(directory);
    return [directory, table(answers, (request) => resolveFrom(path, request))];
  }));
  const manifest: Manifest = {
    key: recorder.key,
    resolutions,
    absolute: table(recorder.absolute, (key) => resolveFrom(recorder.baseDir, paths.keyPath(key))),
    searches: table(recorder.searches, (key) => {
      const [request, ...directories] = JSON.parse(key) as [string, ...number[]];
      return resolveFrom(recorder.baseDir, request, directories.map((directory) => paths.directoryPath(directory)));
    }),
    loader: loader.answers(recorder.startedNs),
    stamps: addStamps(recorder, contents),
    omitted: [...recorder.omitted].map(([file, reason]) => ({ file, reason })),
    delayed: recorder.delayed,
    // Last, because the parts above may still give out numbers.
    roots: paths.roots,
    directories: paths.directories,
    files: paths.files.map((file, number): FileEntry => {
      const entry = entries.get(number);
      return entry === undefined ? file : [...file, ...entry];
    }),
  };
  return { bytes: contents.encode(manifest), manifest };
}

/** What was loaded and then written anew would be served as it was. */
function omitRewritten(recorder: Recorder): void {
  for (const { path } of recorder.files.values()) {
    const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined || stats.mtimeNs >= recorder.startedNs) recorder.omit(path, WRITTEN_MEANWHILE);
  }
}

type Answers = Parameters<typeof certain>[0];

type Content = FileEntry extends infer E ? E extends readonly [number, string, ...infer Rest] ? Rest extends readonly [unknown, ...unknown[]] ? Rest : never : never : never;

function entryOf({ text, script, isJson, isLoader }: RecordedFile, contents: Contents): Content {
  const encoding = encodingOf(text);
  const source = encodeText(text, encoding);
  const cache = script?.createCachedData() ?? Buffer.alloc(0);
  const kind = isJson ? 1 : isLoader ? 2 : 0;
  return [kind, encoding, contents.add(source), source.length, contents.add(cache), cache.length];
}

/** A file that came to be during the recording may not be there, or not yet, the next time. */
function lastingFiles({ paths, startedNs }: Recorder): (file: FileNumber) => boolean {
  const known = new Map<FileNumber, boolean>();
  return (number) => {
    let lasting = known.get(number);
    if (lasting === undefined) known.set(number, (lasting = (paths.mtimeNs(number) ?? startedNs) < startedNs));
    return lasting;
  };
}

function addStamps(recorder: Recorder, contents: Contents): readonly [offset: number, bytes: number] {
  const directories = ownDirectories(recorder);
  const stamps: Stamps = {
    files: [...fileStamps(recorder), ...scopeStamps(recorder, directories)],
    directories: directories.flatMap((directory): Stamps['directories'] => {
      const names = namesDigest(directory, recorder.paths.isApplication(directory));
      return names === undefined ? [] : [[recorder.paths.directory(directory) as number, names]];
    }),
  };
  const json = Buffer.from(JSON.stringify(stamps));
  return [contents.add(json), json.length];
}

function fileStamps({ files, paths }: Recorder): Stamps['files'] {
  return [...files.values()].map(({ path, mtimeNs, bytes, sha256 }) => [paths.file(path) as FileNumber, String(mtimeNs), bytes, sha256]);
}

/** Every package.json that nobody loaded: Node has read what it says of entries and kinds of files. */
function scopeStamps({ files, paths }: Recorder, directories: readonly string[]): Stamps['files'] {
  return directories.flatMap((directory): Stamps['files'] => {
    const path = join(directory, 'package.json');
    if (files.has(path) || !existsSync(path)) return [];
    const { mtimeNs } = statSync(path, { bigint: true });
    const content = readFileSync(path);
    return [[paths.file(path) as FileNumber, String(mtimeNs), content.length, digestOf(content)]];
  });
}

/** Every directory of the application's own in which another file would have made another answer. */
function ownDirectories({ paths, files, loader }: Recorder): string[] {
  const seen = new Set<string>();
  const add = (directory: string): void => {
    // What is not there yet will come to be in the nearest one that is; and `x.js` is preferred to `x/index.js`.
    for (let at = directory; !seen.has(at) && paths.directory(at) !== undefined && !paths.isInstalled(at); at = dirname(at)) {
      if (isDirectory(at)) seen.add(at);
    }
  };
  for (const path of files.keys()) add(dirname(path));
  for (const directory of paths.directoryPaths()) add(directory);
  for (const directory of loader.listed) for (const below of directoriesBelow(directory)) add(below);
  return [...seen].sort();
}

/** As globby goes down: through links, too, but never in a circle. */
function directoriesBelow(directory: string, above: readonly string[] = []): string[] {
  if (!isDirectory(directory)) return [directory];
  const real = realpathSync(directory);
  if (above.includes(real)) return [];
  return [directory, ...readdirSync(directory).map((name) => join(directory, name)).filter(isDirectory).flatMap((below) => directoriesBelow(below, [...above, real]))];
}

function isDirectory(path: string): boolean {
  // statSync alone throws for what is below a file, whatever it is told.
  return existsSync(path) && statSync(path).isDirectory();
}
