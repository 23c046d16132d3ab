/**
 * Records how an application is loaded, for a snapshot of it. Runs in a process that exists for this alone, started
 * with the flags of those that will use the snapshot, before anything else of it is loaded.
 *
 * Everything runs as it would without recording: questions go to Node, and files are compiled from what was read. The
 * compile caches are taken at the end, when the functions that really ran have been compiled.
 */
import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, extname, isAbsolute, join } from 'node:path';
import type { Script } from 'node:vm';
import { setFlagsFromString } from 'node:v8';
import { compile, evaluate, internals, isCommonJs, isCompilable, isCompiledElsewhere, onLoadingHooks, wrap, type CompiledModule, type ResolveOptions } from './commonjs';
import { delayRequires } from './delay';
import { digestOf } from './format';
import { keyOf, nodeFlags } from './key';
import { isLoaderFile, loaderRequire } from './loader_face';
import { MISSING, type FileNumber, type SnapshotKey, type SnapshotSubject } from './manifest';
import { LoaderQuestions } from './loader_questions';
import { PathTable } from './paths';

/** Whether those who use the snapshot have the flag, too: a compile cache fits only the flags under which it was taken. */
const KEEPS_BYTECODE = nodeFlags().includes('--no-flush-bytecode');

/** A file that was loaded. */
export interface RecordedFile {
  readonly path: string;
  /** What is compiled: wrapped, and with requests delayed; or JSON. */
  readonly text: string;
  /** Undefined where Node parses or compiles it. */
  readonly script: Script | undefined;
  readonly isJson: boolean;
  readonly isLoader: boolean;
  readonly mtimeNs: bigint;
  readonly bytes: number;
  readonly sha256: string;
}

interface Question {
  readonly request: string;
  readonly parent: NodeModule | null | undefined;
  readonly options: ResolveOptions | undefined;
}

/** Answers that two questions of the same words got in one run; such are left out. */
const AMBIGUOUS = Symbol('ambiguous');
type Answer = FileNumber | typeof AMBIGUOUS;

export const WRITTEN_MEANWHILE = 'written while the application was recorded';

/** The steps in which file systems count times; what was written later than this before the start may be ours. */
const FILE_TIME_STEP_NS = 20_000_000n;

export class Recorder {
  readonly key: SnapshotKey;
  readonly paths: PathTable;
  readonly files = new Map<string, RecordedFile>();
  readonly resolutions = new Map<number, Map<string, Answer>>();
  readonly absolute = new Map<string, Answer>();
  readonly searches = new Map<string, Answer>();
  readonly omitted = new Map<string, string>();
  /** Bits of the mode that all recorded files have: who may not read one of them may not read the snapshot. */
  readableBy = 0o777;
  readonly loader: LoaderQuestions;
  readonly baseDir: string;
  readonly #role: SnapshotSubject['role'];
  readonly startedNs = BigInt(Date.now()) * 1_000_000n - FILE_TIME_STEP_NS;
  /** Requests that wait for their first use, by file. */
  readonly #delayedIn = new Map<string, readonly string[]>();
  #isRecording = true;
  /** Somebody asks Node to load otherwise, by `module.registerHooks`. */
  #isHooked = false;

  constructor(subject: SnapshotSubject) {
    this.key = keyOf(subject);
    this.paths = new PathTable(subject);
    this.loader = new LoaderQuestions(this.paths);
    this.baseDir = subject.baseDir;
    this.#role = subject.role;
  }

  /** Requests that wait for their first use. */
  get delayed(): number {
    return [...this.#delayedIn.values()].reduce((sum, requests) => sum + requests.length, 0);
  }

  /** From now on everything that this process loads is recorded. */
  install(): void {
    // V8 throws away bytecode that has not run for a while; the flag is set back before the caches are taken.
    if (!KEEPS_BYTECODE) setFlagsFromString('--no-flush-bytecode');
    onLoadingHooks(() => (this.#isHooked = true));
    this.#recordResolutions();
    const { '.js': js, '.json': json } = internals._extensions;
    internals._extensions['.js'] = (module, filename) => {
      if (this.#isRecording && this.#load(module, filename)) return;
      js?.(module, filename);
    };
    internals._extensions['.json'] = (module, filename) => {
      json?.(module, filename);
      // Node drops a byte order mark, and JSON.parse would not.
      if (this.#isRecording) this.#read(filename, (source) => ({ text: source.replace(/^\uFEFF/, ''), script: undefined }), { isJson: true });
    };
  }

  /**
   * Loads what waits for its first use, so that a process that comes to need it finds it in the snapshot, too: with a
   * first request through urllib from the disk, examples/bff answered 47 ms after it was ready, and 24 from the snapshot.
   */
  loadDelayed(): void {
    // What is loaded now may delay more.
    for (const [filename, requests] of this.#delayedIn) {
      for (const request of requests) {
        try {
          createRequire(filename)(request);
        } catch {
          // An optional one that is not there, or does not load: its first use will tell.
        }
      }
    }
  }

  /** Nothing that is loaded from now on belongs to the application. */
  stop(): void {
    this.#isRecording = false;
    if (!KEEPS_BYTECODE) setFlagsFromString('--flush-bytecode');
  }

  #recordResolutions(): void {
    const resolve = internals._resolveFilename;
    const note = (question: Question, found: string | undefined): void => {
      if (this.#isRecording && !this.#isHooked && typeof question.request === 'string') this.#note(question, found);
    };
    internals._resolveFilename = function _resolveFilename(request, parent, isMain, options) {
      let found: string;
      try {
        found = resolve.call(this, request, parent, isMain, options);
      } catch (error) {
        const { code, message } = error as NodeJS.ErrnoException;
        // Not of a package that is there and has no such entry, whose error says more.
        if (code === 'MODULE_NOT_FOUND' && message.startsWith(`Cannot find module '${request}'`)) note({ request, parent, options }, undefined);
        throw error;
      }
      note({ request, parent, options }, found);
      return found;
    };
  }

  #note({ request, parent, options }: Question, found: string | undefined): void {
    // Builtin modules are Node's own business.
    if (found !== undefined && !isAbsolute(found)) return;
    // Some libraries ask in the name of a parent that is no module.
    if (parent != null && (typeof parent.path !== 'string' || typeof parent.filename !== 'string')) return;
    // Only dependencies are told from memory that something is missing: an application may be waiting for it.
    const isTold = parent != null && this.paths.isInstalled(parent.filename);
    const answer = found !== undefined ? this.paths.file(found) : isTold ? MISSING : AMBIGUOUS;
    if (answer === undefined) return;
    if (options?.paths !== undefined) {
      const directories = options.paths.map((path) => this.paths.directory(path));
      if (!directories.includes(undefined)) remember(this.searches, JSON.stringify([request, ...directories]), answer);
    } else if (isAbsolute(request)) {
      const key = this.paths.key(request);
      if (key !== undefined) remember(this.absolute, key, answer);
    } else if (parent != null) {
      const directory = this.paths.directory(parent.path);
      if (directory === undefined) return;
      let requests = this.resolutions.get(directory);
      if (requests === undefined) this.resolutions.set(directory, (requests = new Map<string, Answer>()));
      remember(requests, request, answer);
    }
  }

  /** Loads from its file in a process with the snapshot, whatever was recorded of it so far. */
  omit(path: string, reason: string): void {
    this.omitted.set(path, reason);
    this.files.delete(path);
  }

  /** Whether the module was compiled and run here. */
  #load(module: CompiledModule, filename: string): boolean {
    const reason = this.#reasonToOmit(module, filename);
    if (reason !== undefined) {
      this.omit(filename, reason);
      return false;
    }
    const isLoader = isLoaderFile(filename);
    const file = this.#read(filename, (source) => this.#compile(source, filename), { isLoader });
    if (file?.script === undefined) return false;
    evaluate(file.script, { module, filename, ask: isLoader ? loaderRequire((request) => module.require(request), this.loader) : undefined });
    return true;
  }

  #reasonToOmit(module: CompiledModule, filename: string): string | undefined {
    const extension = extname(filename);
    if (extension !== '' && extension !== '.js' && extension !== '.cjs') return `${extension} is not CommonJS`;
    if (extension === '.js' && isModuleScope(dirname(filename))) return 'an ES module';
    if (this.#isHooked || isCompiledElsewhere(module)) return 'compiled by a hook';
    return undefined;
  }

  /** Undefined for what is not CommonJS. Without a script, Node is to compile it. */
  #compile(source: string, filename: string): { text: string; script: Script | undefined } | undefined {
    if (!isCommonJs(source)) return undefined;
    if (!isCompilable(source)) return { text: wrap(source), script: undefined };
    const delayed = this.#role === 'function' && this.paths.isInstalled(filename) ? delayRequires(source, packageOf(filename)) : undefined;
    const text = wrap(delayed?.source ?? source);
    if (delayed !== undefined) this.#delayedIn.set(filename, delayed.delayed);
    return { text, script: compile(text, filename) };
  }

  #read(path: string, make: (source: string) => { text: string; script: Script | undefined } | undefined, { isJson = false, isLoader = false }): RecordedFile | undefined {
    const { mtimeNs, mode } = statSync(path, { bigint: true });
    const content = readFileSync(path);
    const made = make(content.toString('utf8'));
    const reason = this.paths.file(path) === undefined ? 'outside of the application and its dependencies'
      : mtimeNs >= this.startedNs ? WRITTEN_MEANWHILE
        : made === undefined ? 'not CommonJS' : undefined;
    if (reason !== undefined) this.omit(path, reason);
    if (made === undefined) return undefined;
    const file = { path, ...made, isJson, isLoader, mtimeNs, bytes: content.length, sha256: digestOf(content) };
    if (reason === undefined) {
      this.files.set(path, file);
      this.readableBy &= Number(mode);
    }
    return file;
  }
}

function remember<K>(answers: Map<K, Answer>, key: K, answer: Answer): void {
  const known = answers.get(key);
  answers.set(key, known === undefined || known === answer ? answer : AMBIGUOUS);
}

/** What is to be written of a table of answers: those of one meaning that hold beyond the recording. */
export function certain(answers: ReadonlyMap<string, Answer>, holds: (key: string, file: FileNumber) => boolean): Record<string, FileNumber> {
  const kept = [...answers].filter((pair): pair is [string, FileNumber] => pair[1] !== AMBIGUOUS && holds(pair[0], pair[1]));
  return Object.fromEntries(kept);
}

const scopes = new Map<string, boolean>();

/** Whether the nearest package.json says `"type": "module"`. */
function isModuleScope(directory: string): boolean {
  let known = scopes.get(directory);
  if (known === undefined) scopes.set(directory, (known = readScope(directory)));
  return known;
}

function readScope(directory: string): boolean {
  const up = dirname(directory);
  let text: string;
  try {
    text = readFileSync(join(directory, 'package.json'), 'utf8');
  } catch {
    // None here: the next one up speaks, but not across a package's border.
    return up === directory || basename(directory) === 'node_modules' ? false : isModuleScope(up);
  }
  try {
    return (JSON.parse(text.replace(/^\uFEFF/, '')) as { type?: unknown } | null)?.type === 'module';
  } catch {
    // Node will tell, if it needs it.
    return false;
  }
}

const PACKAGE = /node_modules[\\/]((?:@[^\\/]+[\\/])?[^\\/]+)[\\/](?!.*node_modules[\\/])/;

function packageOf(filename: string): string {
  return PACKAGE.exec(filename)?.[1] ?? '';
}
