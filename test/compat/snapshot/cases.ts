/**
 * The applications of the comparison, one line each: its traits, and what its boot needs beyond the defaults. Data only.
 */
import type { SnapshotRole } from '../../../lib/snapshot/manifest';

export interface SnapshotCase {
  readonly name: string;
  /** What this application has and others have not. */
  readonly traits: string;
  /** Directory in fixtures/snapshot, where several share one. */
  readonly application?: string;
  /** Of the application in that directory, where more than the application stands there. */
  readonly baseDir?: string;
  /** Directory of its framework in that directory; egg itself without it. */
  readonly framework?: string;
  /** Beside baseDir and mode. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Of the environment, beside EGG_SERVER_ENV=unittest; `<copy>` is the directory of the fixture. */
  readonly variables?: Readonly<Record<string, string>>;
  /** Egg's server environment and scope, to which these variables and files amount. */
  readonly env?: string;
  readonly scope?: string;
  /** Flags of Node. */
  readonly flags?: readonly string[];
  /** A real agent beside the application. */
  readonly agent?: boolean;
  /** What a host is asked over HTTP. */
  readonly requests?: readonly string[];
  /** A file, without its extension, that a C compiler makes an addon of. */
  readonly addon?: string;
  /** Roles in which it does not boot. */
  readonly fails?: readonly SnapshotRole[];
}

const BOTH: readonly SnapshotRole[] = ['function', 'host'];

export const CASES: readonly SnapshotCase[] = [
  // Environment, scope and configuration.
  { name: 'env-file', traits: 'config/env with blanks beats EGG_SERVER_ENV; a config of another environment', env: 'prod' },
  { name: 'env-node', traits: 'environment from NODE_ENV; lists and null in merged config; extends of one environment', env: 'prod', variables: { EGG_SERVER_ENV: '', NODE_ENV: 'production' } },
  { name: 'env-option', traits: 'options.env beats config/env and EGG_SERVER_ENV; plugins of one environment', env: 'pre', options: { env: 'pre' } },
  { name: 'env-mocked', traits: 'EGG_MOCK_SERVER_ENV adds extends of unittest to those of local', env: 'local', variables: { EGG_SERVER_ENV: 'local', EGG_MOCK_SERVER_ENV: 'local' } },
  { name: 'scope', traits: 'EGG_SERVER_SCOPE: config and plugins by scope, and by scope and environment', scope: 'en', variables: { EGG_SERVER_SCOPE: 'en' } },
  { name: 'config-shapes', traits: 'config.js; functions, classes, symbols, accessors, buffers; __esModule; a plugin that is told the application\'s' },
  { name: 'config-json', traits: 'config, plugins and extends as JSON, required again by the application' },
  { name: 'config-variable', traits: 'EGG_APP_CONFIG', variables: { EGG_APP_CONFIG: '{"overridden":{"by":"variable"},"more":[1]}' } },
  { name: 'config-variable-broken', traits: 'EGG_APP_CONFIG and EGG_PLUGINS that are no JSON, with a warning', variables: { EGG_APP_CONFIG: '{', EGG_PLUGINS: '{' } },
  // Plugins.
  { name: 'plugin-default-file', traits: 'plugin.default.js beside a plugin.js that is not loaded; plugin.unittest.js' },
  { name: 'plugin-package', traits: 'plugins by package, scoped, by name alone, with exports' },
  { name: 'plugin-path', traits: 'a plugin by path with everything a plugin can have', requests: ['/'], agent: true },
  { name: 'plugin-outside', traits: 'a plugin by path and a require outside of the application; node_modules beside it', baseDir: 'application' },
  { name: 'plugin-symlink', traits: 'a plugin behind a link in node_modules to a directory of the application' },
  { name: 'plugin-pnpm', traits: 'plugins in the layout of pnpm, siblings behind links' },
  { name: 'plugin-nested', traits: 'a package in two versions; main that is missing, or a directory' },
  { name: 'plugin-env', traits: 'plugins for other environments, by plugin.js and by package.json; disabled ones' },
  { name: 'plugin-implicit', traits: 'disabled plugins on which enabled ones depend, and one that is only optional' },
  { name: 'plugin-order', traits: 'dependencies, optional ones, the old name dep, those of plugin.js before those of package.json' },
  { name: 'plugin-manifest-odd', traits: 'eggPlugin or package.json missing, another name, not strict, defined twice, with warnings' },
  { name: 'plugin-by-caller', traits: 'EGG_PLUGINS and options.plugins', variables: { EGG_PLUGINS: '{"variable":{"enable":true,"path":"<copy>/plugins/variable"},"view":false}' }, options: { plugins: { option: { enable: true, package: 'egg-option' }, i18n: false } } },
  { name: 'plugin-missing', traits: 'fails: a plugin that is not installed', fails: BOTH },
  { name: 'plugin-invalid', traits: 'fails: a path in place of a package name', fails: BOTH },
  { name: 'plugin-recursive', traits: 'fails: plugins that depend on each other', fails: BOTH },
  { name: 'plugin-unmet', traits: 'fails: a dependency that does not exist', fails: BOTH },
  // Frameworks.
  { name: 'framework-own', traits: 'a framework in node_modules with plugins, middleware, services, extends, boot and an agent', framework: 'node_modules/own', requests: ['/'], agent: true },
  { name: 'framework-two-levels', traits: 'a framework on a framework; plugins redefined; extends of three levels', baseDir: 'application', framework: 'upper' },
  { name: 'framework-loader', traits: 'a loader of its own: type files, load units, extend paths, resolutions, files that are no code', baseDir: 'application', framework: 'framework' },
  // What Egg loads.
  { name: 'extend-all', traits: 'accessors, symbols, hidden properties, a class; by environment; setters that are inherited', agent: true },
  { name: 'extend-override', traits: 'plugin, then application; accessors over values over accessors; a deprecated directory' },
  { name: 'middleware', traits: 'order, options, match, ignore, disabled, generator, nested directories, a plugin\'s, core', requests: ['/', '/only'] },
  { name: 'controllers', traits: 'classes, objects, functions, generators, nested; resources, redirects, namespaces, regular expressions', requests: ['/', '/posts/7', '/old', '/any/12', '/params/3/a/b', '/admin/root', '/generator', '/nowhere'] },
  { name: 'services', traits: 'classes, functions, objects, primitives, nothing; nested and mixed with a plugin\'s; names in every case' },
  { name: 'custom-loader', traits: 'into application and context, of all units, JSON, match and ignore' },
  { name: 'load-to-app', traits: 'loadToApp, loadToContext, loadFile and FileLoader with every option, on directories that only a run tells' },
  { name: 'odd-files', traits: 'dotfiles, directories named like files, no code, empty directories' },
  // How applications start, or do not.
  { name: 'boot-function', traits: 'app.js and agent.js as functions; beforeStart, readyCallback, messages, beforeClose', agent: true },
  { name: 'boot-class', traits: 'every hook of boot classes, of application, agent and plugin', agent: true },
  { name: 'boot-neither', traits: 'an app.js that is neither class nor function, with a warning' },
  { name: 'nothing', traits: 'nothing but package.json and an empty directory' },
  { name: 'schedules', traits: 'schedules as class, object and function, nested', agent: true },
  { name: 'views-and-assets', traits: 'views, static directories, locales as code, JSON and properties', requests: ['/', '/assets/hello.txt', '/more/bytes.txt', '/?locale=en-US', '/?locale=de', '/error'] },
  { name: 'esmodule-style', traits: '__esModule and default in every kind of file', requests: ['/'] },
  { name: 'fails-in-config', traits: 'fails: a config that throws in its first line', fails: BOTH },
  { name: 'fails-in-json', traits: 'fails: a config that is no JSON', fails: BOTH },
  { name: 'fails-in-constructor', traits: 'fails: the constructor of the boot class', fails: BOTH },
  { name: 'fails-in-hook', traits: 'fails: configWillLoad, with a code and a cause', fails: BOTH },
  { name: 'fails-asynchronously', traits: 'fails: didLoad, after an await', fails: BOTH },
  { name: 'fails-in-syntax', traits: 'fails: a service with a syntax error', fails: BOTH },
  { name: 'fails-in-service', traits: 'fails: a service whose dependency is not installed, with the stack of requires', fails: BOTH },
  { name: 'fails-in-controller', traits: 'fails: an argument called next, in hosts', fails: ['host'] },
  { name: 'fails-in-middleware', traits: 'fails: a middleware that is no function, in hosts', fails: ['host'] },
  { name: 'fails-in-router', traits: 'fails: a route without controller, in hosts', fails: ['host'] },
  { name: 'fails-in-names', traits: 'fails: two files for one property', fails: BOTH },
  { name: 'fails-in-package', traits: 'fails: package.json without a name', fails: BOTH },
  { name: 'fails-in-custom-loader', traits: 'fails: a custom loader for a property that exists', fails: BOTH },
  { name: 'tegg', traits: 'modules of tegg, which finds classes by their decorators\' stack; across modules, per context', requests: ['/'] },
  // What `require` promises to modules.
  { name: 'module-identity', traits: 'what modules know of themselves; cycles, deletions and plantings in the cache, failures, sloppy mode' },
  { name: 'module-resolution', traits: 'relative, bare, builtin, conditional, imports, self, missing; error codes and stacks of requires; createRequire' },
  { name: 'module-encodings', traits: 'byte order marks, shebangs, every line ending, bytes that are no UTF-8; sources that close or reopen the wrapper' },
  { name: 'module-esm', traits: 'import() of everything, .mjs, type: module, dual packages, requires of what is no CommonJS' },
  { name: 'module-stacks', traits: 'lines and columns on the first line and later; asynchronous, evaluated, accessors; call sites' },
  { name: 'module-source-maps', traits: '--enable-source-maps with a map beside the file and one inside of it', flags: ['--enable-source-maps'] },
  { name: 'module-hooks', traits: 'extensions replaced and added by a config file, as pirates does; Module.prototype._compile wrapped' },
  { name: 'module-wrapper', traits: 'Module.wrapper changed; modules made by hand' },
  { name: 'module-alias', traits: '_resolveFilename, _nodeModulePaths, _load and prototype.require replaced by a config file' },
  { name: 'module-mocked', traits: 'modules of dependencies planted in the cache and deleted from it' },
  { name: 'module-generated', traits: 'code that the application writes at its start, and writes again later' },
  { name: 'module-optional', traits: 'optional packages that are missing, then installed during the start or later; asked by the application and by a dependency' },
  { name: 'module-paths', traits: 'module.paths changed in one of two modules of a directory; NODE_PATH', variables: { NODE_PATH: '<copy>/shared' } },
  { name: 'module-source-map-support', traits: 'source-map-support, then maps enabled while it runs' },
  { name: 'module-processes', traits: 'child processes and worker threads' },
  { name: 'module-addon', traits: 'an addon, and one that cannot be loaded', addon: 'lib/built' },
  { name: 'disk-changed', traits: 'exists, stat, readdir and readFile of files that change after the recording and while it runs' },
  { name: 'disk-directories', traits: 'directories that Egg has listed, listed by the application and changed during the start and later' },
  { name: 'disk-reloaded', traits: 'a file and a JSON file of the application that change while it runs and are required again' },
  { name: 'typescript-hook', traits: 'EGG_TYPESCRIPT with tsconfig-paths, and ts-node by the framework', framework: 'framework', variables: { EGG_TYPESCRIPT: 'true' } },
  { name: 'typescript-on', traits: 'EGG_TYPESCRIPT without a hook: .ts beside .js', variables: { EGG_TYPESCRIPT: 'true' } },
  { name: 'typescript-off', traits: 'egg.typescript in package.json: paths of tsconfig.json, .ts files left alone' },
];
