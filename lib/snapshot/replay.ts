/**
 * Loads an application from a snapshot: answers Node's questions for modules and Egg's for directories from the file,
 * and compiles from it. Runs in function processes and, by `egg-carton/register`, in Egg's agent and app workers,
 * before anything else of them is loaded; what it imports itself is compiled without help.
 *
 * 1. Nothing is used before the whole file has its digest and its key fits; then everything that follows is exact, and
 *    what the snapshot does not know is loaded by Node.
 * 2. Each answer is a fact about files. Positive resolutions hold for the life of the process; that something is not
 *    there, and what Egg's loader asks, is answered until `settle`, and to dependencies only, never to the application.
 * 3. A module that somebody else compiles (a transpiler, a coverage tool) goes to them with its source.
 */
import { compile, evaluate, internals, isCompiledElsewhere, notFound, onLoadingHooks, unwrap, type CompiledModule, type ResolveOptions } from './commonjs';
import { open, type Opened } from './format';
import { HeldBytes } from './held_bytes';
import { expectKey, nodeFlags, processKey } from './key';
import { loaderRequire, type LoaderSource } from './loader_face';
import { MISSING, type FileEntry, type FileNumber, type Manifest, type SnapshotReference } from './manifest';
import { isInstalled, locateRoots, type Place } from './roots';
import { expectNodesOwnLoading } from './preloads';
import { readSafely } from './safe_file';

export interface Replay {
  /** Modules that were loaded from the snapshot so far. */
  readonly served: number;
  /**
   * The application is ready: from now on only the disk says what is not there, and the file need not be held. With
   * `hold` it is held all the same, for processes that share the memory.
   */
  settle(options?: { readonly hold?: boolean }): void;
  /** From now on everything is loaded by Node. */
  stop(): void;
}

/**
 * For a process that was told which snapshot to use by one that knows it to be right for the application.
 * Throws `CARTON_SNAPSHOT_DAMAGED`, `_MISMATCH` or `_UNSAFE`, and has then changed nothing.
 */
export function startReplay(reference: SnapshotReference, place: Place): Replay {
  const opened = open(readSafely(reference.path), reference.sha256);
  expectKey(processKey(), opened.manifest.key);
  return replayOpened(opened, reference, place);
}

/** For one that has checked everything. Throws `CARTON_SNAPSHOT_MISMATCH`. */
export function replayOpened(opened: Opened, reference: SnapshotReference, place: Place): Replay {
  expectNodesOwnLoading();
  const replay = new Replayer(opened, new HeldBytes(opened.bytes, { reference }), place);
  replay.install();
  return replay;
}

type ContentEntry = Extract<FileEntry, { length: 8 }>;

/** A content on its way to its module. */
interface Taken {
  readonly entry: ContentEntry;
  readonly bytes: Buffer;
}

const JSON_KIND = 1;
/** Node before 20.7 does not tell otherwise. */
const MAPS_BY_FLAG = nodeFlags().includes('--enable-source-maps');

class Replayer implements Replay, LoaderSource {
  served = 0;
  readonly #bytes: HeldBytes;
  /** Where the contents begin. */
  readonly #start: number;
  readonly #manifest: Manifest;
  /** Absolute paths by number. */
  readonly #directories: readonly string[];
  readonly #numbers = new Map<string, number>();
  readonly #files: readonly string[];
  readonly #contents = new Map<string, ContentEntry>();
  #settled = false;
  /** It was stopped, or somebody asks Node to load otherwise, by `module.registerHooks`, which works below us. */
  #isOff = false;
  #cachesFit = true;

  constructor({ manifest, start }: Opened, bytes: HeldBytes, place: Place) {
    this.#bytes = bytes;
    this.#start = start;
    this.#manifest = manifest;
    const { directories, files, roots } = manifest;
    const paths = locateRoots(roots, place);
    this.#directories = directories.map((directory) => absolute(directory, paths));
    this.#directories.forEach((directory, number) => this.#numbers.set(directory, number));
    this.#files = files.map(([directory, name]) => `${this.#directories[directory] as string}/${name}`);
    files.forEach((file, number) => {
      if (file.length > 2) this.#contents.set(this.#files[number] as string, file as ContentEntry);
    });
  }

  install(): void {
    onLoadingHooks(() => (this.#isOff = true));
    const resolve = internals._resolveFilename;
    const answer = this.#answer.bind(this);
    internals._resolveFilename = function _resolveFilename(request, parent, isMain, options) {
      return answer(request, parent, options) ?? resolve.call(this, request, parent, isMain, options);
    };
    const { '.js': js, '.json': json } = internals._extensions;
    internals._extensions['.js'] = (module, filename) => {
      const taken = this.#take(filename, false);
      if (taken === undefined) js?.(module, filename);
      else this.#run(taken, module, filename);
    };
    internals._extensions['.json'] = (module, filename) => {
      const taken = this.#take(filename, true);
      if (taken === undefined) json?.(module, filename);
      else module.exports = JSON.parse(this.#text(taken)) as unknown;
    };
  }

  settle({ hold = false } = {}): void {
    this.#settled = true;
    if (!hold) this.#bytes.settle();
  }

  stop(): void {
    this.#isOff = true;
    this.#settled = true;
    this.#bytes.settle();
  }

  #answer(request: string, parent: NodeModule | null | undefined, options: ResolveOptions | undefined): string | undefined {
    const number = this.#isOff ? undefined : this.#lookUp(request, parent, options);
    if (number === undefined) return undefined;
    if (number !== MISSING) return this.#files[number];
    // Whoever else asked may have got the answer: only dependencies get it from memory.
    if (this.#settled || !this.#isInstalled(parent?.path)) return undefined;
    throw notFound(request, parent);
  }

  #lookUp(request: string, parent: NodeModule | null | undefined, options: ResolveOptions | undefined): FileNumber | undefined {
    if (typeof request !== 'string') return undefined;
    const { absolute, resolutions, searches } = this.#manifest;
    if (options?.paths !== undefined) return Array.isArray(options.paths) ? numberIn(searches, this.#searchKey(request, options.paths)) : undefined;
    if (request.charCodeAt(0) === SLASH) return numberIn(absolute, this.#pathKey(request));
    const directory = this.#numbers.get(parent?.path ?? '');
    return directory === undefined ? undefined : numberIn(resolutions[directory] ?? {}, request);
  }

  #isInstalled(path: string | undefined): boolean {
    const [root, ...rest] = (this.#manifest.directories[this.#numbers.get(path ?? '') ?? -1] ?? '').split('/');
    return isInstalled(this.#manifest.roots[Number(root)], rest.join('/'));
  }

  /** As the recorder writes it; undefined for a path in an unknown directory. */
  #pathKey(path: string): string | undefined {
    const end = path.lastIndexOf('/');
    const directory = this.#numbers.get(path.slice(0, end));
    return directory === undefined ? undefined : `${directory}/${path.slice(end + 1)}`;
  }

  #searchKey(request: string, paths: readonly string[]): string | undefined {
    const directories = paths.map((path) => this.#numbers.get(path));
    return directories.includes(undefined) ? undefined : JSON.stringify([request, ...directories]);
  }

  /** Each content is served once: whoever drops a module and asks for it again wants what is on disk by now. */
  #take(filename: string, isJson: boolean): Taken | undefined {
    if (this.#isOff) return undefined;
    const entry = this.#contents.get(filename);
    if (entry === undefined || (entry[2] === JSON_KIND) !== isJson) return undefined;
    this.#contents.delete(filename);
    const bytes = this.#bytes.get();
    if (bytes === undefined) return undefined;
    this.served += 1;
    return { entry, bytes };
  }

  #run({ entry, bytes }: Taken, module: CompiledModule, filename: string): void {
    const text = this.#text({ entry, bytes });
    // Node maps stack traces through a file's source map only if it compiled the file itself.
    const isMapped = ((process as { sourceMapsEnabled?: boolean }).sourceMapsEnabled ?? MAPS_BY_FLAG) && text.includes('sourceMappingURL=');
    const [, , kind, , , , offset, length] = entry;
    if (isMapped || length === 0 || isCompiledElsewhere(module)) return void module._compile(unwrap(text), filename);
    const at = this.#start + offset;
    const script = compile(text, filename, this.#cachesFit ? bytes.subarray(at, at + length) : undefined);
    // One that does not fit costs more than none, and the next would not fit either.
    if (script.cachedDataRejected === true) this.#cachesFit = false;
    evaluate(script, { module, filename, ask: kind === 2 && !this.#settled ? loaderRequire((request) => module.require(request), this) : undefined });
  }

  #text({ entry: [, , , encoding, offset, length], bytes }: Taken): string {
    const at = this.#start + offset;
    return bytes.toString(encoding === 0 ? 'latin1' : 'utf16le', at, at + length);
  }

  exists(path: string): boolean | undefined {
    return this.#loaderAnswer(this.#manifest.loader.exists, path);
  }

  mode(path: string): number | undefined {
    return this.#loaderAnswer(this.#manifest.loader.modes, path);
  }

  realPath(path: string): string | undefined {
    const key = this.#loaderAnswer(this.#manifest.loader.realPaths, path);
    if (key === undefined) return undefined;
    const [directory, ...rest] = key.split('/');
    return [this.#directories[Number(directory)] as string, ...rest].join('/');
  }

  glob(patterns: unknown, path: string, ask: () => string[]): readonly string[] {
    const directory = this.#numbers.get(path);
    const known = this.#settled || directory === undefined ? undefined : this.#manifest.loader.globs[JSON.stringify([patterns, directory])];
    return known ?? ask();
  }

  #loaderAnswer<T>(answers: Readonly<Record<string, T>>, path: string): T | undefined {
    const key = this.#settled ? undefined : this.#pathKey(path);
    return key !== undefined && Object.hasOwn(answers, key) ? answers[key] : undefined;
  }
}

const SLASH = 47;

function absolute(directory: string, roots: readonly string[]): string {
  const end = directory.indexOf('/');
  const root = roots[Number(end < 0 ? directory : directory.slice(0, end))] as string;
  return end < 0 ? root : root + directory.slice(end);
}

function numberIn(numbers: Readonly<Record<string, FileNumber>>, key: string | undefined): FileNumber | undefined {
  // Inherited names such as "constructor" are no answers.
  const found: unknown = key === undefined ? undefined : numbers[key];
  return typeof found === 'number' ? found : undefined;
}
