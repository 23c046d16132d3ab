/**
 * Turns a recording into the bytes of a snapshot. Runs in the process that recorded, once the application has run.
 */
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Contents, encodeText, encodingOf } from './format';
import type { FileEntry, FileNumber, Manifest, Stamps } from './manifest';
import { certain, type RecordedFile, type Recorder } from './recorder';
import { namesDigest } from './stamps';

/** The bytes of the snapshot. The recorder is stopped by it. */
export function encodeRecording(recorder: Recorder): { readonly bytes: Buffer; readonly manifest: Manifest } {
  recorder.stop();
  const contents = new Contents();
  const { paths, loader } = recorder;
  const recorded = [...recorder.files.values()];
  const entries = new Map(recorded.map((file) => [paths.file(file.path) as FileNumber, entryOf(file, contents)]));
  const lasting = lastingFiles(recorder);
  const table = (answers: Parameters<typeof certain>[0]): Record<string, FileNumber> => certain(answers, lasting);
  const resolutions = Object.fromEntries([...recorder.resolutions].map(([directory, answers]) => [directory, table(answers)]));
  const manifest: Manifest = {
    key: recorder.key,
    resolutions,
    absolute: table(recorder.absolute),
    searches: table(recorder.searches),
    loader: loader.answers,
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

type Content = FileEntry extends infer E ? E extends readonly [number, string, ...infer Rest] ? Rest extends readonly [unknown, ...unknown[]] ? Rest : never : never : never;

function entryOf({ text, script, isLoader }: RecordedFile, contents: Contents): Content {
  const encoding = encodingOf(text);
  const source = encodeText(text, encoding);
  const cache = script?.createCachedData() ?? Buffer.alloc(0);
  const kind = script === undefined ? 1 : isLoader ? 2 : 0;
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
  const stamps: Stamps = {
    files: [...recorder.files.values()].map(({ path, mtimeNs, bytes, sha256 }) => [recorder.paths.file(path) as FileNumber, String(mtimeNs), bytes, sha256]),
    directories: directoryStamps(recorder),
  };
  const json = Buffer.from(JSON.stringify(stamps));
  return [contents.add(json), json.length];
}

/** Every directory of the application's own in which another file would have made another answer. */
function directoryStamps({ paths, files, loader }: Recorder): [number, string][] {
  const seen = new Set<string>();
  const add = (directory: string): void => {
    // What is not there yet will come to be in the nearest one that is.
    let at = directory;
    while (!seen.has(at) && paths.directory(at) !== undefined && !isDirectory(at)) at = dirname(at);
    if (paths.directory(at) !== undefined && !paths.isInstalled(at)) seen.add(at);
  };
  for (const path of files.keys()) add(dirname(path));
  for (const directory of paths.directoryPaths()) add(directory);
  for (const directory of loader.listed) for (const below of directoriesBelow(directory)) add(below);
  return [...seen].sort().flatMap((directory) => {
    const names = namesDigest(directory, paths.isApplication(directory));
    return names === undefined ? [] : [[paths.directory(directory) as number, names]];
  });
}

function directoriesBelow(directory: string): string[] {
  if (!isDirectory(directory)) return [directory];
  const entries = readdirSync(directory, { withFileTypes: true, recursive: true });
  return [directory, ...entries.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name))];
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
