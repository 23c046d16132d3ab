/**
 * What a snapshot says, as types: the JSON in front of a snapshot file. `docs/reference/snapshot.md` describes it for
 * readers in other languages. Types only.
 *
 * A manifest holds facts about files, never about a run: which file a request resolves to, what a directory lists, what
 * a source says. Egg's loader still decides everything by itself; it only gets its answers from here instead of the disk.
 */

export type { SnapshotReference } from '../protocol/control';

/** Rises with every change that an older reader would misunderstand. */
export const SNAPSHOT_FORMAT = 1;

/** `function`: a function process. `host`: Egg's own agent and app workers, which load everything. */
export type SnapshotRole = 'function' | 'host';

/** The application that a snapshot is of, and how it is booted. */
export interface SnapshotSubject {
  readonly role: SnapshotRole;
  /** Absolute path of the application. */
  readonly baseDir: string;
  /** Absolute path of the framework, or of the file that boots an application without Egg. */
  readonly framework: string;
  /** Egg's server environment and scope. */
  readonly env: string;
  readonly scope: string;
  /** Whatever else decides which plugins are enabled: `options.plugins`, and plugins that are left out. JSON only. */
  readonly plugins: unknown;
}

/** All of it has to fit, or the snapshot is not used. What of the application's files has to fit stands in `Stamps`. */
export interface SnapshotKey {
  readonly format: number;
  /** Version of egg-carton. */
  readonly carton: string;
  /** As in `process.version`. */
  readonly node: string;
  /** `v8.cachedDataVersionTag()`: V8's version, its flags and the processor's features. */
  readonly v8: number;
  /** `<platform>-<architecture>`. */
  readonly platform: string;
  /** What changes how modules are found: Node's flags, from the command line and NODE_OPTIONS, and the paths of NODE_PATH. */
  readonly flags: readonly string[];
  readonly role: SnapshotRole;
  readonly env: string;
  readonly scope: string;
  /** The framework's place, relative to the application. */
  readonly framework: string;
  /** JSON of [EGG_PLUGINS, the subject's plugins]. */
  readonly plugins: string;
  /** EGG_TYPESCRIPT. */
  readonly typescript: string;
  /** SHA-256 over the lockfiles of the application and of its installed dependencies; '' where there are none. */
  readonly lockfile: string;
}

/**
 * A directory under which paths of a snapshot lie.
 * - `application`: the application itself; `real-application`: where its links lead, if that is somewhere else.
 * - `modules`: the `node_modules` of the directory that lies `up` levels above the application; `real-modules`: where
 *   its link leads, if it is one.
 * - `framework`: the directory of the framework, where it is not installed in one of those.
 * - `carton`: egg-carton's own, where it is not installed in one of those.
 * - `linked`: a package outside of those, which `name` in the `node_modules` of root number `via` links to.
 */
export type SnapshotRoot =
  | { readonly kind: 'application' | 'real-application' | 'framework' | 'carton' }
  | { readonly kind: 'modules' | 'real-modules'; readonly up: number }
  | { readonly kind: 'linked'; readonly via: number; readonly name: string };

/**
 * A file: [directory, base name], of one that is only the answer to a resolution; with a content,
 * [directory, base name, kind, encoding, source offset, source bytes, cache offset, cache bytes].
 */
export type FileEntry =
  | readonly [directory: number, name: string]
  | readonly [
    directory: number, name: string, kind: FileKind, encoding: Encoding,
    sourceOffset: number, sourceBytes: number, cacheOffset: number, cacheBytes: number,
  ];

/**
 * 0 CommonJS: its source stands in Node's wrapper; without a cache, Node compiles it. 1 JSON. 2 CommonJS of Egg's
 * loader, which asks for directories and files through a face of its own.
 */
export type FileKind = 0 | 1 | 2;
/** 0 Latin-1. 1 UTF-16, little-endian. */
export type Encoding = 0 | 1;

/** Number of a file in `files`; `MISSING` where nothing was found. */
export type FileNumber = number;
export const MISSING = -1;

/**
 * What the files looked like, apart from the manifest because only a check reads it: JSON in the contents.
 */
export interface Stamps {
  /** [file, time of change in ns, bytes, SHA-256], of every file with a content, and of each own package.json. */
  readonly files: readonly (readonly [file: FileNumber, mtimeNs: string, bytes: number, sha256: string])[];
  /** [directory, digest of the names in it], of each directory of the application's own from which an answer came. */
  readonly directories: readonly (readonly [directory: number, names: string])[];
}

export interface Manifest {
  readonly key: SnapshotKey;
  readonly roots: readonly SnapshotRoot[];
  /** `<root>` or `<root>/<path>`, with `/`. */
  readonly directories: readonly string[];
  readonly files: readonly FileEntry[];
  /** By number of the directory that asks, then by request. */
  readonly resolutions: Readonly<Record<string, Readonly<Record<string, FileNumber>>>>;
  /** By `<directory>/<base name>`: requests for an absolute path, whoever asks. */
  readonly absolute: Readonly<Record<string, FileNumber>>;
  /** By JSON of [request, ...directories]: `require.resolve(request, { paths })`. */
  readonly searches: Readonly<Record<string, FileNumber>>;
  /** What Egg's loader asked of the file system. */
  readonly loader: LoaderAnswers;
  /** Where `Stamps` are in the contents: [offset, bytes]. */
  readonly stamps: readonly [offset: number, bytes: number];
  /** What was loaded and is not in here, with the reason. */
  readonly omitted: readonly { readonly file: string; readonly reason: string }[];
  /** Requests of dependencies that were made to wait for their first use. */
  readonly delayed: number;
}

/** Keys are paths as in `absolute`. */
export interface LoaderAnswers {
  readonly exists: Readonly<Record<string, boolean>>;
  /** `mode` of the file's stat. */
  readonly modes: Readonly<Record<string, number>>;
  readonly realPaths: Readonly<Record<string, string>>;
  /** By JSON of [patterns, directory number]: what globby lists, relative to the directory. */
  readonly globs: Readonly<Record<string, readonly string[]>>;
}
